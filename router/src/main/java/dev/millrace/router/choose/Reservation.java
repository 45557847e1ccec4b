package dev.millrace.router.choose;

import dev.millrace.router.pools.Worker;
import java.util.concurrent.atomic.AtomicInteger;

/** A place on a worker. Owned by the event loop of its exchange; released once. */
public final class Reservation {
  private final Worker worker;
  private final long promptBytes;
  private final AtomicInteger gauge;
  private boolean held = true;

  Reservation(Worker worker, long promptBytes, AtomicInteger gauge) {
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
    }
  }
}
