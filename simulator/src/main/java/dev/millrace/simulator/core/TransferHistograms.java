package dev.millrace.simulator.core;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Distributions over transfers, in vLLM's buckets (0.32.0). */
public final class TransferHistograms {
  private final Histogram seconds =
      new Histogram(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 5);
  private final Histogram postSeconds =
      new Histogram(0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 5);
  private final Histogram bytes = new Histogram(powersOfFour());
  private final Histogram descriptors =
      new Histogram(10, 20, 30, 50, 75, 100, 200, 400, 1000, 2000, 4000, 10000, 20000, 50000);

  /** Takes note of one transfer that was handed over in {@code postingSeconds}. */
  public void transferred(double postingSeconds, double tookSeconds, long movedBytes, long runs) {
    postSeconds.add(postingSeconds);
    seconds.add(tookSeconds);
    bytes.add((double) movedBytes);
    descriptors.add((double) runs);
  }

  /** How long transfers took. */
  public Histogram seconds() {
    return seconds;
  }

  /** How long it took to hand them to the transport. */
  public Histogram postSeconds() {
    return postSeconds;
  }

  /** How many bytes they moved. */
  public Histogram bytes() {
    return bytes;
  }

  /** How many runs they had. */
  public Histogram descriptors() {
    return descriptors;
  }

  private static double[] powersOfFour() {
    double[] bounds = new double[12];
    for (int i = 0; i < bounds.length; i++) {
      bounds[i] = 2048 * Math.pow(4, i);
    }
    return bounds;
  }

  /** A distribution. Thread-safe. */
  public static final class Histogram {
    private final double[] bounds;
    private final long[] counts;
    private double sum;

    /** How many values are at most {@code bound}; a floating-point number as all metrics are. */
    public record Bucket(double bound, double upTo) {}

    /** Everything at one moment; the last bucket has no bound. */
    public record Snapshot(List<Bucket> buckets, double sum) {}

    Histogram(double... bounds) {
      this.bounds = bounds;
      this.counts = new long[bounds.length + 1];
    }

    synchronized void add(double value) {
      int bucket = 0;
      while (bucket < bounds.length && value > bounds[bucket]) {
        bucket++;
      }
      counts[bucket]++;
      sum += value;
    }

    /** The distribution so far. */
    public synchronized Snapshot snapshot() {
      List<Bucket> buckets = new ArrayList<>();
      double upTo = 0;
      for (int i = 0; i < counts.length; i++) {
        upTo += (double) counts[i];
        buckets.add(new Bucket(i < bounds.length ? bounds[i] : Double.POSITIVE_INFINITY, upTo));
      }
      return new Snapshot(List.copyOf(buckets), sum);
    }

    /** How many values there were. */
    public synchronized long count() {
      return Arrays.stream(counts).sum();
    }

    /** Their sum. */
    public synchronized double sum() {
      return sum;
    }
  }
}
