package dev.millrace.transfer.nixl;

/**
 * A range of addresses of some process.
 *
 * @param address the first byte, unsigned
 * @param bytes how many, at least 1; the range does not wrap around
 */
public record Region(long address, long bytes) {
  public Region {
    // The last address of all is left out so that the end of a region is a number, too.
    if (address == 0 || bytes < 1 || Long.compareUnsigned(address, -1L - bytes) > 0) {
      throw new IllegalArgumentException(
          "%d bytes at %#x are not a range of memory".formatted(bytes, address));
    }
  }

  /** Whether the range lies inside. Neither a sum nor a difference in here can wrap around. */
  boolean contains(long start, long length) {
    if (length < 1 || length > bytes || Long.compareUnsigned(start, address) < 0) {
      return false;
    }
    return Long.compareUnsigned(start - address, bytes - length) <= 0;
  }

  boolean contains(Region other) {
    return contains(other.address, other.bytes);
  }

  /** Whether the two have a byte in common. */
  boolean overlaps(Region other) {
    return contains(other.address, 1) || other.contains(address, 1);
  }

  @Override
  public String toString() {
    return "%d bytes at %#x".formatted(bytes, address);
  }
}
