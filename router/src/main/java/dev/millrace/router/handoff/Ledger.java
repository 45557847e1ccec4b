package dev.millrace.router.handoff;

import dev.millrace.router.pools.Worker;
import java.util.EnumMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.LongAdder;

/**
 * All hand-offs: which are open, and how the others ended. Shared by all event loops; each entry
 * belongs to one of them.
 */
public final class Ledger {
  private final Set<HandOff> open = ConcurrentHashMap.newKeySet();
  private final LongAdder consumed = new LongAdder();
  private final Map<Outcome.By, LongAdder> released = new EnumMap<>(Outcome.By.class);
  private final LongAdder expired = new LongAdder();
  private final LongAdder lost = new LongAdder();
  private final LongAdder unusable = new LongAdder();

  /** An empty ledger. */
  public Ledger() {
    for (Outcome.By by : Outcome.By.values()) {
      released.put(by, new LongAdder());
    }
  }

  /**
   * Enters a hand-off.
   *
   * @param holder the prefill worker that holds the blocks
   * @param pinned what it said of them
   * @param nowNanos when its answer came, which is when the lease began
   */
  public HandOff enter(Worker holder, Pinned pinned, long nowNanos) {
    HandOff entry = new HandOff(this, holder, pinned, nowNanos);
    open.add(entry);
    holder.holds(1);
    return entry;
  }

  /**
   * Counts parameters that no decode worker may get. If they name blocks, only the lease frees
   * them.
   */
  public void enterUnusable() {
    unusable.increment();
    expired.increment();
  }

  void ended(HandOff entry, Outcome outcome) {
    open.remove(entry);
    entry.holder().holds(-1);
    switch (outcome) {
      case Outcome.Consumed() -> consumed.increment();
      case Outcome.Released(Outcome.By by) -> releasedBy(by).increment();
      case Outcome.Expired() -> expired.increment();
      case Outcome.Lost() -> lost.increment();
    }
  }

  private LongAdder releasedBy(Outcome.By by) {
    return released.getOrDefault(by, new LongAdder());
  }

  /** Those that have not ended, in no order. */
  public Iterable<HandOff> entries() {
    return open;
  }

  /** How many have not ended. */
  public int open() {
    return open.size();
  }

  /** How the others ended. */
  public Totals totals() {
    return new Totals(
        consumed.sum(),
        releasedBy(Outcome.By.DECODE_ENGINE).sum(),
        releasedBy(Outcome.By.AGENT).sum(),
        releasedBy(Outcome.By.REFUSED_REQUEST).sum(),
        expired.sum(),
        lost.sum(),
        unusable.sum());
  }

  /**
   * Ends of hand-offs since the start.
   *
   * @param consumed read by a decode worker
   * @param releasedByEngine freed by the decode engine that refused or aborted the request
   * @param releasedByAgent freed by a KV agent
   * @param releasedByRequest freed by a request that a decode engine had to refuse
   * @param expired left to their lease
   * @param lost gone with their worker
   * @param unusable those of the expired whose parameters were not fit to be passed on
   */
  public record Totals(
      long consumed,
      long releasedByEngine,
      long releasedByAgent,
      long releasedByRequest,
      long expired,
      long lost,
      long unusable) {
    /** Freed unread, whoever told the prefill worker. */
    public long released() {
      return releasedByEngine + releasedByAgent + releasedByRequest;
    }
  }
}
