package dev.millrace.config;

import java.time.Duration;
import java.util.OptionalInt;

/**
 * How much a route takes on at a time. Whoever finds no place waits for one, unless too many do;
 * then it is told at once to come back later.
 *
 * @param concurrent exchanges that have a place, from its prefill leg to the last byte, at least 1
 * @param waiting exchanges that wait for one, at least 0
 * @param patience how long one waits at most
 * @param requestsPerMinute most requests on average, at least 1; empty: as many as come
 * @param tokensPerMinute most tokens of prompts and answers on average, at least 1; empty: as many
 *     as come
 */
public record Limits(
    int concurrent,
    int waiting,
    Duration patience,
    OptionalInt requestsPerMinute,
    OptionalInt tokensPerMinute) {
  static final int MOST = 1_000_000;

  /** More streams than one machine's descriptors allow; a bound all the same. */
  private static final Limits DEFAULTS = new Limits(16_384, 1024, Duration.ofSeconds(10));

  public Limits {
    if (concurrent < 1 || concurrent > MOST || waiting < 0 || waiting > MOST) {
      throw new IllegalArgumentException(
          "limits: concurrent is %d, must be 1 to %d; waiting is %d, must be 0 to %d"
              .formatted(concurrent, MOST, waiting, MOST));
    }
    if (!Deadlines.inRange(patience)) {
      throw new IllegalArgumentException(
          "limits: wait is %s, must be 1ms to 24h".formatted(patience));
    }
  }

  /** With as many a minute as come. */
  public Limits(int concurrent, int waiting, Duration patience) {
    this(concurrent, waiting, patience, OptionalInt.empty(), OptionalInt.empty());
  }

  /** 16 384 at a time, and 1024 that wait 10 s. */
  public static Limits defaults() {
    return DEFAULTS;
  }
}
