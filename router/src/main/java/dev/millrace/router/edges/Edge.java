package dev.millrace.router.edges;

import dev.millrace.config.OnRecompute;
import dev.millrace.layout.compatibility.Way;
import dev.millrace.router.pools.TransferReport;
import dev.millrace.router.pools.Worker;
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

  /** A transfer is slow if others of the route are this many times faster. */
  private static final double SLOW = 10;

  private final Worker prefill;
  private final Worker decode;
  private final Listener listener;
  private final AtomicReference<EdgeState> state;
  private final Streak failed = new Streak();
  private final Streak computedAgain = new Streak();
  private final Streak slow = new Streak();
  private final LongAdder handOffs = new LongAdder();
  private final LongAdder failures = new LongAdder();
  private final LongAdder recomputed = new LongAdder();
  private final Bandwidth bandwidth = new Bandwidth();
  private volatile Way way = Way.ENGINE;

  Edge(Worker prefill, Worker decode, EdgeState first, Listener listener) {
    this.prefill = prefill;
    this.decode = decode;
    this.state = new AtomicReference<>(first);
    this.listener = listener;
    noteWay(first);
  }

  private void noteWay(EdgeState state) {
    if (state instanceof EdgeState.Usable(Way present, _)) {
      way = present;
    }
  }

  /** How its blocks go; of an edge that is not used at the moment, how they went. */
  public Way way() {
    return way;
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
    noteWay(next);
    EdgeState before = state.getAndSet(next);
    if (!before.equals(next)) {
      if (next instanceof EdgeState.Usable) {
        failed.end();
        computedAgain.end();
        slow.end();
      }
      listener.changed(this, before);
    }
  }

  /** A decode worker answered with blocks that went over it. */
  public void handedOff() {
    handOffs.increment();
    failed.end();
  }

  /**
   * An exchange failed that had its blocks going over it.
   *
   * @param why for people
   */
  public void failed(String why, long nowNanos) {
    failures.increment();
    if (failed.longer()) {
      breakOff(why, nowNanos);
    }
  }

  /**
   * Takes what its decode worker's counters prove of an exchange that it carried.
   *
   * @param fastest bytes per second over the fastest edge of the route, 0 if not known
   */
  void transferred(TransferReport report, OnRecompute onRecompute, double fastest, long nowNanos) {
    switch (report.outcome()) {
      case TRANSFERRED -> computedAgain.end();
      case PARTIAL, UNKNOWN -> {}
      case RECOMPUTED -> {
        recomputed.increment();
        switch (onRecompute) {
          case COUNT -> {}
          case FAIL -> {
            if (computedAgain.longer()) {
              breakOff(decode + " computes prompts whose blocks it was handed", nowNanos);
            }
          }
        }
      }
    }
    if (report instanceof TransferReport.Measured(long bytes, double seconds, _)
        && bandwidth.transferred(bytes, seconds)) {
      if (bytes / seconds * SLOW >= fastest) {
        slow.end();
      } else if (slow.longer()) {
        breakOff(
            "blocks go over it at %.0f MB/s, over another edge at %.0f MB/s"
                .formatted(bytes / seconds / 1e6, fastest / 1e6),
            nowNanos);
      }
    }
  }

  private void breakOff(String why, long nowNanos) {
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
