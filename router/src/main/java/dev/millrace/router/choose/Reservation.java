package dev.millrace.router.choose;

import dev.millrace.router.pools.Breaker;
import dev.millrace.router.pools.Worker;
import java.util.concurrent.atomic.AtomicInteger;

/** A place on a worker. Owned by the event loop of its exchange; released once. */
public final class Reservation {
  private final Worker worker;
  private final long promptBytes;
  private final AtomicInteger gauge;
  private final Breaker.Entry entry;
  private boolean held = true;

  /**
   * A place from now on.
   *
   * @param entry how the worker's breaker let it in
   */
  Reservation(Worker worker, long promptBytes, AtomicInteger gauge, Breaker.Entry entry) {
    this.entry = entry;
    this.worker = worker;
    this.promptBytes = promptBytes;
    this.gauge = gauge;
    worker.reserve(promptBytes);
    gauge.incrementAndGet();
  }

  /** The worker that has the place. */
  public Worker worker() {
    return worker;
  }

  /** Gives the place back; later calls do nothing. */
  public void release() {
    if (held) {
      held = false;
      worker.unreserve(promptBytes);
      gauge.decrementAndGet();
      if (entry == Breaker.Entry.TRIAL) {
        worker.breaker().trialOver();
      }
    }
  }
}
