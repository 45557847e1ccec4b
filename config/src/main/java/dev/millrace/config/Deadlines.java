package dev.millrace.config;

import java.time.Duration;

/**
 * How long each part of an exchange may take; all are above zero and at most a day.
 *
 * @param prefill one prefill leg, from connect to its last byte
 * @param firstToken the decode leg's first event that says something, counted from its start
 * @param streamIdle silence between two pieces of a streamed answer, and how long its client may
 *     read nothing
 * @param total the whole exchange, retries included
 */
public record Deadlines(
    Duration prefill, Duration firstToken, Duration streamIdle, Duration total) {
  static final Duration LONGEST = Duration.ofDays(1);
  private static final Deadlines DEFAULTS =
      new Deadlines(
          Duration.ofSeconds(60),
          Duration.ofSeconds(60),
          Duration.ofSeconds(60),
          Duration.ofMinutes(10));

  public Deadlines {
    requireInRange("prefill", prefill);
    requireInRange("first-token", firstToken);
    requireInRange("stream-idle", streamIdle);
    requireInRange("total", total);
  }

  /** A minute for each part, ten for the whole. */
  public static Deadlines defaults() {
    return DEFAULTS;
  }

  private static void requireInRange(String name, Duration duration) {
    if (!inRange(duration)) {
      throw new IllegalArgumentException(
          "deadlines: %s is %s, must be above zero and at most a day".formatted(name, duration));
    }
  }

  static boolean inRange(Duration duration) {
    return duration.isPositive() && duration.compareTo(LONGEST) <= 0;
  }
}
