package dev.millrace.router.pools;

import java.time.Duration;

/**
 * How often something has happened lately, and how often with a mark on it. Guarded by its owner.
 *
 * <p>The window slides in tenths: a ring of eleven slices, of which the one that time comes to is
 * emptied first. So what counts is all of the last window, and at most a tenth of one more.
 */
public final class RecentCounts {
  private static final int TENTHS = 10;
  private static final int SLICES = TENTHS + 1;

  private final long sliceNanos;
  private final long[] all = new long[SLICES];
  private final long[] marked = new long[SLICES];
  private long newest = Long.MIN_VALUE;
  private long sumOfAll;
  private long sumOfMarked;

  /** Nothing yet. */
  public RecentCounts(Duration window) {
    this.sliceNanos = window.toNanos() / TENTHS;
  }

  /** Counts one more, or with {@code -1} takes one back that was counted at the same moment. */
  public void count(int more, long nowNanos) {
    int slice = sliceAt(nowNanos);
    all[slice] += more;
    sumOfAll += more;
  }

  /** The same for one with the mark, which counts for itself. */
  public void countMarked(int more, long nowNanos) {
    int slice = sliceAt(nowNanos);
    marked[slice] += more;
    sumOfMarked += more;
  }

  /** How many there were lately. */
  public long all(long nowNanos) {
    sliceAt(nowNanos);
    return sumOfAll;
  }

  /** How many with the mark. */
  public long marked(long nowNanos) {
    sliceAt(nowNanos);
    return sumOfMarked;
  }

  /** Forgets everything. */
  public void clear() {
    newest = Long.MIN_VALUE;
  }

  /** Threads look at the clock before they get here, so a moment may be a little late. */
  private int sliceAt(long nowNanos) {
    long slice = Math.floorDiv(nowNanos, sliceNanos);
    if (newest == Long.MIN_VALUE) {
      newest = slice - SLICES;
    }
    for (long next = Math.max(newest + 1, slice - TENTHS); next <= slice; next++) {
      empty(Math.floorMod(next, SLICES));
    }
    newest = Math.max(newest, slice);
    return Math.floorMod(Math.max(slice, newest - TENTHS), SLICES);
  }

  private void empty(int slice) {
    sumOfAll -= all[slice];
    sumOfMarked -= marked[slice];
    all[slice] = 0;
    marked[slice] = 0;
  }
}
