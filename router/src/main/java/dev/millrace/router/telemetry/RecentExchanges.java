package dev.millrace.router.telemetry;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReferenceArray;

/** The last settled exchanges, the oldest overwritten first. Shared by all event loops. */
public final class RecentExchanges {
  private final AtomicReferenceArray<Waterfall> ring;
  private final AtomicInteger next = new AtomicInteger();

  /** Keeps this many. */
  public RecentExchanges(int size) {
    ring = new AtomicReferenceArray<>(size);
  }

  /** Adds one that is settled. */
  public void add(Waterfall settled) {
    int slot = Integer.remainderUnsigned(next.getAndIncrement(), ring.length());
    ring.setRelease(slot, settled);
  }

  /** The newest with an id, as ids of clients may repeat. */
  public Optional<Waterfall> find(String requestId) {
    return newestFirst().stream().filter(one -> one.requestId().equals(requestId)).findFirst();
  }

  /** All that are kept. */
  public List<Waterfall> newestFirst() {
    int size = ring.length();
    int newest = next.get() - 1;
    List<Waterfall> all = new ArrayList<>();
    for (int i = 0; i < size; i++) {
      Waterfall one = ring.getAcquire(Integer.remainderUnsigned(newest - i, size));
      if (one != null) {
        all.add(one);
      }
    }
    return all;
  }
}
