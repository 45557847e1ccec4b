package dev.millrace.router.edges;

/**
 * How fast blocks go over an edge, by what its decode worker reports.
 *
 * <p>An exponentially weighted mean: {@code b ← b + (x - b) / 4} for each transfer of some size,
 * since small ones measure latency.
 */
public final class Bandwidth {
  private static final long SMALLEST_BYTES = 1 << 20;

  private volatile double bytesPerSecond;

  /** Takes a transfer into account; false if it is too small to tell. */
  synchronized boolean transferred(long bytes, double seconds) {
    if (bytes < SMALLEST_BYTES || seconds <= 0) {
      return false;
    }
    double now = bytes / seconds;
    bytesPerSecond = bytesPerSecond == 0 ? now : bytesPerSecond + (now - bytesPerSecond) / 4;
    return true;
  }

  /** The mean; 0 where nothing has been measured. */
  public double bytesPerSecond() {
    return bytesPerSecond;
  }
}
