package dev.millrace.transfer.nixl;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * A region, and how many requests may touch it. Every request claims the regions of its runs on
 * both sides and lets go only when NIXL is done with it, abandoned or not, so that "unclaimed"
 * means that no byte of the region moves any more.
 */
final class Claims {
  private final Region region;
  private final List<Runnable> whenUnclaimed = new ArrayList<>();
  private int claims;
  private boolean closed;

  Claims(Region region) {
    this.region = region;
  }

  Region region() {
    return region;
  }

  /** False once closed. */
  synchronized boolean claim() {
    if (closed) {
      return false;
    }
    claims++;
    return true;
  }

  void release() {
    List<Runnable> waiting;
    synchronized (this) {
      claims--;
      if (claims > 0 || !closed) {
        return;
      }
      notifyAll();
      waiting = List.copyOf(whenUnclaimed);
      whenUnclaimed.clear();
    }
    waiting.forEach(Runnable::run);
  }

  /** From now on nothing can claim it. */
  synchronized void close() {
    closed = true;
  }

  /** Closes it, and runs {@code action} when no claim is left, which may be at once. */
  void closeThen(Runnable action) {
    synchronized (this) {
      closed = true;
      if (claims > 0) {
        whenUnclaimed.add(action);
        return;
      }
    }
    action.run();
  }

  /** Waits until no claim is left; false if that took longer than {@code patience}. */
  synchronized boolean awaitUnclaimed(Duration patience) throws InterruptedException {
    long end = System.nanoTime() + patience.toNanos();
    while (claims > 0) {
      long left = end - System.nanoTime();
      if (left <= 0) {
        return false;
      }
      wait(left / 1_000_000, (int) (left % 1_000_000));
    }
    return true;
  }

  synchronized int count() {
    return claims;
  }
}
