package dev.millrace.router.edges;

import dev.millrace.router.pools.Worker;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.LongAdder;

/** A prefill and a decode worker of a route. Shared by all event loops. */
public final class Edge {
  /** Hears of changes, on whichever thread makes them. */
  @FunctionalInterface
  interface Listener {
    /** An edge is in another state than before. */
    void changed(Edge edge, EdgeState before);
  }

  /**
   * A single failure may be the request's own; three in a row, with successes setting the count
   * back, are the edge's.
   */
  static final int FAILURES_TO_BREAK = 3;

  private final Worker prefill;
  private final Worker decode;
  private final Listener listener;
  private final AtomicReference<EdgeState> state;
  private final AtomicInteger failuresInARow = new AtomicInteger();
  private final LongAdder handOffs = new LongAdder();
  private final LongAdder failures = new LongAdder();
  private final LongAdder recomputed = new LongAdder();
  private final Bandwidth bandwidth = new Bandwidth();

  Edge(Worker prefill, Worker decode, EdgeState first, Listener listener) {
    this.prefill = prefill;
    this.decode = decode;
    this.state = new AtomicReference<>(first);
    this.listener = listener;
  }

  /** Who computes prompts. */
  public Worker prefill() {
    return prefill;
  }

  /** Who generates answers. */
  public Worker decode() {
    return decode;
  }

  /** Whether it carries exchanges, and why not. */
  public EdgeState state() {
    return state.get();
  }

  boolean isUsable() {
    return state.get() instanceof EdgeState.Usable;
  }

  /** Changes its state. */
  void become(EdgeState next) {
    EdgeState before = state.getAndSet(next);
    if (!before.equals(next)) {
      if (next instanceof EdgeState.Usable) {
        failuresInARow.set(0);
      }
      listener.changed(this, before);
    }
  }

  /** A decode worker answered with blocks that went over it. */
  public void handedOff() {
    handOffs.increment();
    failuresInARow.set(0);
  }

  /**
   * An exchange failed that had its blocks going over it.
   *
   * @param why for people
   */
  public void failed(String why, long nowNanos) {
    failures.increment();
    strike(why, nowNanos);
  }

  /** The decode worker computed a prompt whose blocks it was handed. */
  public void recomputed() {
    recomputed.increment();
  }

  /** Counts something against the edge that its exchange did not suffer from. */
  public void strike(String why, long nowNanos) {
    if (failuresInARow.incrementAndGet() < FAILURES_TO_BREAK) {
      return;
    }
    EdgeState present = state.get();
    if (present instanceof EdgeState.Usable
        && state.compareAndSet(
            present, new EdgeState.Broken(EdgeState.Cause.FAILURES, why, nowNanos))) {
      listener.changed(this, present);
    }
  }

  /** What is known of how fast blocks go over it. */
  public Bandwidth bandwidth() {
    return bandwidth;
  }

  /** Answers with blocks that went over it. */
  public long totalHandOffs() {
    return handOffs.sum();
  }

  /** Exchanges that failed on it. */
  public long totalFailures() {
    return failures.sum();
  }

  /** Prompts that were computed again though their blocks were there. */
  public long totalRecomputed() {
    return recomputed.sum();
  }

  @Override
  public String toString() {
    return prefill.url() + " → " + decode.url();
  }
}
