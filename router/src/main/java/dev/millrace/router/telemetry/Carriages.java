package dev.millrace.router.telemetry;

import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.LongAdder;

/**
 * How agents have brought blocks to decode engines since the start, over all event loops, in
 * Prometheus' text format. Blocks that decode engines fetch themselves are no carriage.
 */
public final class Carriages {
  /** From a bridge, which copies nothing, to the longest that a carriage is waited for, s. */
  private static final double[] BOUNDS = {
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15
  };

  /** Those that went one way. */
  private static final class Brought {
    /** Not cumulative; the last one is of those above every bound. */
    final LongAdder[] buckets = new LongAdder[BOUNDS.length + 1];

    final LongAdder nanos = new LongAdder();
    final LongAdder bytes = new LongAdder();

    Brought() {
      for (int i = 0; i < buckets.length; i++) {
        buckets[i] = new LongAdder();
      }
    }
  }

  private record Failure(String way, String reason) implements Comparable<Failure> {
    @Override
    public int compareTo(Failure other) {
      int byWay = way.compareTo(other.way);
      return byWay == 0 ? reason.compareTo(other.reason) : byWay;
    }
  }

  private final Map<String, Brought> brought = new ConcurrentSkipListMap<>();
  private final Map<Failure, LongAdder> failed = new ConcurrentSkipListMap<>();

  /** None yet. */
  public Carriages() {}

  /**
   * Counts one that has come to its end.
   *
   * @param way the agent's word for what it did
   * @param bytes that it read, 0 for a bridge
   * @param took of the agent's call
   */
  public void brought(String way, long bytes, Duration took) {
    Brought one = brought.computeIfAbsent(way, first -> new Brought());
    double seconds = took.toNanos() / 1e9;
    int bucket = 0;
    while (bucket < BOUNDS.length && seconds > BOUNDS[bucket]) {
      bucket++;
    }
    one.buckets[bucket].increment();
    one.nanos.add(took.toNanos());
    one.bytes.add(bytes);
  }

  /**
   * Counts one that has failed.
   *
   * @param way of the edge
   * @param reason in a word
   */
  public void failed(String way, String reason) {
    failed.computeIfAbsent(new Failure(way, reason), first -> new LongAdder()).increment();
  }

  /** All of it, as Prometheus reads it. */
  public String text() {
    StringBuilder text = new StringBuilder();
    head(
        text,
        "millrace_carriage_seconds",
        "histogram",
        "How long agents took to bring a prompt's blocks to a decode engine.");
    brought.forEach((way, one) -> histogram(text, way, one));
    head(
        text,
        "millrace_carriage_bytes_total",
        "counter",
        "Bytes of KV blocks that agents have read from prefill engines.");
    brought.forEach((way, one) ->
        sample(text, "millrace_carriage_bytes_total{way=\"%s\"}".formatted(way), one.bytes.sum()));
    head(
        text,
        "millrace_carriages_failed_total",
        "counter",
        "Prompts whose blocks could not be brought to a decode engine.");
    failed.forEach((which, count) ->
        sample(
            text,
            "millrace_carriages_failed_total{reason=\"%s\",way=\"%s\"}"
                .formatted(which.reason(), which.way()),
            count.sum()));
    return text.toString();
  }

  private static void histogram(StringBuilder text, String way, Brought one) {
    long count = 0;
    for (int i = 0; i < one.buckets.length; i++) {
      count += one.buckets[i].sum();
      String bound = i < BOUNDS.length ? Double.toString(BOUNDS[i]) : "+Inf";
      sample(
          text,
          "millrace_carriage_seconds_bucket{way=\"%s\",le=\"%s\"}".formatted(way, bound),
          count);
    }
    text.append(
        String.format(
            Locale.ROOT,
            "millrace_carriage_seconds_sum{way=\"%s\"} %.6f\n",
            way,
            one.nanos.sum() / 1e9));
    sample(text, "millrace_carriage_seconds_count{way=\"%s\"}".formatted(way), count);
  }

  private static void head(StringBuilder text, String name, String type, String help) {
    text.append("# HELP ").append(name).append(' ').append(help).append('\n');
    text.append("# TYPE ").append(name).append(' ').append(type).append('\n');
  }

  private static void sample(StringBuilder text, String series, long value) {
    text.append(series).append(' ').append(value).append('\n');
  }
}
