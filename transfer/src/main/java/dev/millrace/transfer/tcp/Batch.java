package dev.millrace.transfer.tcp;

import java.util.HashSet;
import java.util.Set;

/**
 * Ranges of registered memory that are filled (reader) or sent (owner) one after the other. Their
 * regions are claimed until {@link #release}. Reused, so that a read of a million runs makes no
 * million objects.
 */
final class Batch {
  /** One gathering write takes as many buffers (IOV_MAX on Linux). */
  static final int MOST_RUNS = 1024;

  /** Address and length. */
  static final int RUN_BYTES = 12;

  /** A batch of the reader is full with so many bytes; enough to keep the owner busy meanwhile. */
  static final long ENOUGH_BYTES = 4L << 20;

  private final MemoryTable table;
  private final Wire wire;
  private final long[] addresses = new long[MOST_RUNS];
  private final int[] lengths = new int[MOST_RUNS];
  private final Region[] regions = new Region[MOST_RUNS];
  private final Set<Region> claimed = new HashSet<>();
  private int count;
  private int current;
  private int into;
  private long remaining;
  private int request;

  Batch(MemoryTable table, Wire wire) {
    this.table = table;
    this.wire = wire;
  }

  void begin(int requestId) {
    request = requestId;
    count = 0;
    current = 0;
    into = 0;
    remaining = 0;
  }

  int request() {
    return request;
  }

  int count() {
    return count;
  }

  long remaining() {
    return remaining;
  }

  boolean isFull() {
    return count == MOST_RUNS || remaining >= ENOUGH_BYTES;
  }

  void add(long address, int bytes) throws ReadFailure {
    Region region =
        count > 0 && regions[count - 1].contains(address, bytes)
            ? regions[count - 1]
            : claim(table.find(address, bytes));
    addresses[count] = address;
    lengths[count] = bytes;
    regions[count] = region;
    count++;
    remaining += bytes;
  }

  private Region claim(Region region) throws ReadFailure {
    if (claimed.add(region) && !region.claim(wire)) {
      claimed.remove(region);
      throw ReadFailure.outOfBounds("memory at %#x was unregistered".formatted(region.address()));
    }
    return region;
  }

  /** Moves the next {@code bytes} bytes to {@code out}. */
  void take(int bytes, Pieces out) throws ReadFailure {
    for (Region region : claimed) {
      if (region.isClosed()) {
        throw ReadFailure.outOfBounds(
            "memory at %#x was unregistered during the read".formatted(region.address()));
      }
    }
    remaining -= bytes;
    int left = bytes;
    while (left > 0) {
      int part = Math.min(left, lengths[current] - into);
      out.add(regions[current], addresses[current] + into, part);
      left -= part;
      into += part;
      if (into == lengths[current]) {
        current++;
        into = 0;
      }
    }
  }

  void release() {
    for (Region region : claimed) {
      region.release(wire);
    }
    claimed.clear();
  }
}
