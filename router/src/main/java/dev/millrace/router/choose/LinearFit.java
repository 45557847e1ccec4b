package dev.millrace.router.choose;

/**
 * A line through what was measured lately: {@code nanos ≈ a + b · bytes}, neither below zero.
 *
 * <p>Weighted least squares; a sample has {@value #KEPT} times its weight with each that comes
 * after it, so that about the last hundred count. Where they do not tell the two apart, because all
 * are of one size, the line goes through the origin: it is right where requests are. Guarded by its
 * lock, for a few instructions.
 */
final class LinearFit {
  /** As many samples say something. */
  static final int ENOUGH = 8;

  private static final double KEPT = 0.99;

  /** Sizes that vary by less, relative to their mean, say nothing of the slope. */
  private static final double LEAST_VARIATION = 0.05;

  private long count;
  private double weight;
  private double bytes;
  private double nanos;
  private double bytesSquared;
  private double product;

  /** Takes a sample. */
  synchronized void add(long sampleBytes, long sampleNanos) {
    double size = (double) sampleBytes;
    double took = (double) sampleNanos;
    count++;
    weight = weight * KEPT + 1;
    bytes = bytes * KEPT + size;
    nanos = nanos * KEPT + took;
    bytesSquared = bytesSquared * KEPT + size * size;
    product = product * KEPT + size * took;
  }

  /** Whether there are enough of them. */
  synchronized boolean isKnown() {
    return count >= ENOUGH;
  }

  /** What a size will take. */
  synchronized double at(long ofBytes) {
    double size = (double) ofBytes;
    double meanBytes = bytes / weight;
    double meanNanos = nanos / weight;
    double variance = bytesSquared / weight - meanBytes * meanBytes;
    double spread = LEAST_VARIATION * meanBytes;
    if (variance < spread * spread) {
      return meanNanos * size / meanBytes;
    }
    double slope = Math.max(0, (product / weight - meanBytes * meanNanos) / variance);
    double atZero = meanNanos - slope * meanBytes;
    // A line that begins below zero says that small ones are free; they are in proportion.
    return atZero < 0 ? meanNanos * size / meanBytes : atZero + slope * size;
  }
}
