package dev.millrace.router.handoff;

import dev.millrace.router.pools.Lease;
import dev.millrace.router.pools.Worker;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * The blocks that one prefill leg left behind. Owned by the event loop of its exchange; others may
 * look at it.
 */
public final class HandOff {
  private final Ledger ledger;
  private final Worker holder;
  private final Pinned pinned;
  private final long sinceNanos;
  private volatile @Nullable Worker reader;
  private volatile long leaseEndNanos;
  private volatile long lastBeatNanos;
  private volatile boolean open = true;

  HandOff(Ledger ledger, Worker holder, Pinned pinned, long sinceNanos) {
    this.ledger = ledger;
    this.holder = holder;
    this.pinned = pinned;
    this.sinceNanos = sinceNanos;
    this.lastBeatNanos = sinceNanos;
    this.leaseEndNanos = sinceNanos + holder.lease().initial().toNanos();
  }

  /** The worker that holds the blocks. */
  public Worker holder() {
    return holder;
  }

  /** What the worker said of them. */
  public Pinned pinned() {
    return pinned;
  }

  /** When the lease began. */
  public long sinceNanos() {
    return sinceNanos;
  }

  /** Who is to read the blocks, once that is settled. */
  public @Nullable Worker reader() {
    return reader;
  }

  /** Notes who is to read the blocks. */
  public void readBy(Worker worker) {
    reader = worker;
  }

  /** How much of the lease is left; negative once it is over. */
  public Duration leaseLeft(long nowNanos) {
    return Duration.ofNanos(leaseEndNanos - nowNanos);
  }

  /** Whether it is time to ask the prefill worker to keep the blocks for longer. */
  public boolean wantsBeat(long nowNanos) {
    Lease lease = holder.lease();
    return open
        && lease.extension().isPositive()
        && nowNanos - lastBeatNanos >= lease.beat().toNanos();
  }

  /** The prefill worker is being asked. */
  public void beatAt(long nowNanos) {
    lastBeatNanos = nowNanos;
  }

  /** The prefill worker was asked at a moment to keep the blocks, and has taken it. */
  public void extendedAt(long askedNanos) {
    long end = askedNanos + holder.lease().extension().toNanos();
    leaseEndNanos = Math.max(leaseEndNanos, end);
  }

  /**
   * Whether a decode worker may still be pointed at the blocks. What was extended counts as new for
   * as long as the extension bears.
   */
  public boolean isUsable(long nowNanos) {
    Duration reserve = holder.lease().initial().minus(holder.lease().usable());
    return leaseLeft(nowNanos).compareTo(reserve) > 0;
  }

  /** Whether it has not ended. */
  public boolean isOpen() {
    return open;
  }

  /** Ends it; the first end counts, later ones are ignored. */
  public void end(Outcome how) {
    if (open) {
      open = false;
      ledger.ended(this, how);
    }
  }
}
