package dev.millrace.transfer.tcp;

import dev.millrace.transfer.RegistrableMemory;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/** The memory that is registered, by address. Looked up without a lock, by every run of a read. */
final class MemoryTable {
  private static final Comparator<Region> BY_ADDRESS =
      (a, b) -> Long.compareUnsigned(a.address(), b.address());

  private volatile Region[] sorted = {};

  synchronized Region add(MemorySegment memory) {
    RegistrableMemory.check(memory);
    Region region = new Region(this, memory);
    Region[] old = sorted;
    for (Region other : old) {
      if (other.contains(region.address(), 1) || region.contains(other.address(), 1)) {
        throw new IllegalArgumentException(
            "memory at %#x (%d bytes) overlaps memory at %#x (%d bytes) that is registered already"
                .formatted(region.address(), region.bytes(), other.address(), other.bytes()));
      }
    }
    Region[] grown = Arrays.copyOf(old, old.length + 1);
    grown[old.length] = region;
    Arrays.sort(grown, BY_ADDRESS);
    sorted = grown;
    return region;
  }

  synchronized void remove(Region region) {
    sorted = Arrays.stream(sorted).filter(other -> other != region).toArray(Region[]::new);
  }

  List<Region> all() {
    return List.of(sorted);
  }

  /** The region that holds all of the range. */
  Region find(long address, long bytes) throws ReadFailure {
    Region[] regions = sorted;
    int low = 0;
    int high = regions.length - 1;
    while (low <= high) {
      int middle = (low + high) >>> 1;
      if (Long.compareUnsigned(regions[middle].address(), address) <= 0) {
        low = middle + 1;
      } else {
        high = middle - 1;
      }
    }
    if (high < 0 || !regions[high].contains(address, bytes)) {
      throw ReadFailure.outOfBounds(
          "%s bytes at %#x are not inside registered memory"
              .formatted(Long.toUnsignedString(bytes), address));
    }
    return regions[high];
  }
}
