package dev.millrace.router.handoff;

import dev.millrace.router.pools.Worker;
import io.vertx.core.buffer.Buffer;
import org.jspecify.annotations.Nullable;

/** The blocks that one prefill leg left behind. Owned by the event loop of its exchange. */
public final class HandOff {
  private final Ledger ledger;
  private final Worker holder;
  private final Buffer parameters;
  private final long sinceNanos;
  private @Nullable Outcome outcome;

  HandOff(Ledger ledger, Worker holder, Buffer parameters, long sinceNanos) {
    this.ledger = ledger;
    this.holder = holder;
    this.parameters = parameters;
    this.sinceNanos = sinceNanos;
  }

  /** The worker that holds the blocks. */
  public Worker holder() {
    return holder;
  }

  /** The object that names them, as the worker wrote it. */
  public Buffer parameters() {
    return parameters;
  }

  /** When the lease began. */
  public long sinceNanos() {
    return sinceNanos;
  }

  /** Whether it has not ended. */
  public boolean isOpen() {
    return outcome == null;
  }

  /** Ends it; the first end counts, later ones are ignored. */
  public void end(Outcome how) {
    if (outcome == null) {
      outcome = how;
      ledger.ended(how);
    }
  }
}
