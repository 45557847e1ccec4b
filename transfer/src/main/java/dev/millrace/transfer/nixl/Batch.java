package dev.millrace.transfer.nixl;

import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The descriptors of one request, and the regions on both sides that they claim. */
final class Batch {
  private final long[] sources;
  private final long[] targets;
  private final long[] lengths;
  private final Set<Claims> claimed = Collections.newSetFromMap(new IdentityHashMap<>());
  private @Nullable Claims lastSource;
  private @Nullable Claims lastTarget;
  private int size;
  private long bytes;

  Batch(int capacity) {
    sources = new long[capacity];
    targets = new long[capacity];
    lengths = new long[capacity];
  }

  int size() {
    return size;
  }

  boolean isFull() {
    return size == sources.length;
  }

  long bytes() {
    return bytes;
  }

  long source(int i) {
    return sources[i];
  }

  long target(int i) {
    return targets[i];
  }

  long bytes(int i) {
    return lengths[i];
  }

  /**
   * Adds bytes that lie in {@code from} and {@code to}. Where they go on from the ones before on
   * both sides, the last descriptor grows: NIXL's cost is per descriptor. It must not grow out of
   * its region, as NIXL wants a descriptor inside one.
   *
   * @return false if one of the regions is closed
   */
  boolean add(Claims from, long source, Claims to, long target, long length) {
    boolean sameRegions = from == lastSource && to == lastTarget;
    if (!sameRegions && !(claim(from) && claim(to))) {
      return false;
    }
    lastSource = from;
    lastTarget = to;
    bytes += length;
    int last = size - 1;
    if (sameRegions
        && size > 0
        && sources[last] + lengths[last] == source
        && targets[last] + lengths[last] == target) {
      lengths[last] += length;
    } else {
      sources[size] = source;
      targets[size] = target;
      lengths[size] = length;
      size++;
    }
    return true;
  }

  private boolean claim(Claims region) {
    if (claimed.contains(region)) {
      return true;
    }
    if (!region.claim()) {
      return false;
    }
    claimed.add(region);
    return true;
  }

  /** Whether the request writes to a byte of it. Once it is posted, from any thread. */
  boolean writes(Region region) {
    for (int i = 0; i < size; i++) {
      if (region.contains(targets[i], 1)
          || new Region(targets[i], lengths[i]).contains(region.address(), 1)) {
        return true;
      }
    }
    return false;
  }

  /** Lets go of the regions: nothing of this batch moves any more. */
  void release() {
    claimed.forEach(Claims::release);
    claimed.clear();
  }
}
