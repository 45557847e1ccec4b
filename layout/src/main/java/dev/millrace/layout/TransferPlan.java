package dev.millrace.layout;

import java.util.List;

/**
 * The runs that bring one destination rank the blocks of one sequence, grouped by source rank.
 *
 * <p>A plan holds the pieces of the span and the pairs of regions, not the runs: those are found
 * while walking, so a plan stays small however many there are.
 */
public final class TransferPlan {
  private final List<SourceRead> reads;
  private final Tail tail;

  TransferPlan(List<SourceRead> reads, Tail tail) {
    this.reads = List.copyOf(reads);
    this.tail = tail;
  }

  /**
   * One read per source rank that has something to give, by pipeline stage, then by tensor rank.
   * They write disjoint bytes and can run in any order or at once.
   */
  public List<SourceRead> reads() {
    return reads;
  }

  /** What to zero at the destination once the reads are done. */
  public Tail tail() {
    return tail;
  }

  /** The plan in figures. Takes a walk over all runs each time it is called. */
  public PlanSize size() {
    return PlanSize.of(reads);
  }
}
