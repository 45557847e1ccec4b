package dev.millrace.router.handoff;

import dev.millrace.router.pools.Worker;
import io.vertx.core.buffer.Buffer;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.LongAdder;

/** Counts hand-offs: how many are open, and how the others ended. */
public final class Ledger {
  private final AtomicInteger open = new AtomicInteger();
  private final LongAdder consumed = new LongAdder();
  private final LongAdder released = new LongAdder();
  private final LongAdder expired = new LongAdder();
  private final LongAdder lost = new LongAdder();
  private final LongAdder unusable = new LongAdder();

  /** An empty ledger. */
  public Ledger() {}

  /**
   * Enters a hand-off.
   *
   * @param holder the prefill worker that holds the blocks
   * @param parameters what names them
   * @param nowNanos when its answer came, which is when the lease began
   */
  public HandOff enter(Worker holder, Buffer parameters, long nowNanos) {
    open.incrementAndGet();
    return new HandOff(this, holder, parameters, nowNanos);
  }

  /**
   * Enters parameters that no decode worker may get. If they name blocks, only the lease frees
   * them.
   */
  public void enterUnusable(Worker holder, long nowNanos) {
    unusable.increment();
    enter(holder, Buffer.buffer(), nowNanos).end(new Outcome.Expired());
  }

  void ended(Outcome outcome) {
    open.decrementAndGet();
    LongAdder count =
        switch (outcome) {
          case Outcome.Consumed() -> consumed;
          case Outcome.Released() -> released;
          case Outcome.Expired() -> expired;
          case Outcome.Lost() -> lost;
        };
    count.increment();
  }

  /** Hand-offs that have not ended. */
  public int open() {
    return open.get();
  }

  /** How the others ended. */
  public Totals totals() {
    return new Totals(consumed.sum(), released.sum(), expired.sum(), lost.sum(), unusable.sum());
  }

  /**
   * Ends of hand-offs since the start.
   *
   * @param consumed read by a decode worker
   * @param released freed unread
   * @param expired left to their lease
   * @param lost gone with their worker
   * @param unusable those of the expired whose parameters were not fit to be passed on
   */
  public record Totals(long consumed, long released, long expired, long lost, long unusable) {}
}
