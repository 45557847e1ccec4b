package dev.millrace.router.access;

import java.time.Duration;

/**
 * A token bucket: so many a minute on average, and at once as many as ten seconds are worth, at
 * least one. Shared by all event loops.
 *
 * <pre>
 *  level(t) = min(burst, level(t0) + (t - t0) · perMinute / 60 s)
 * </pre>
 */
final class Rate {
  private static final double SECONDS_AT_ONCE = 10;

  private final double perNano;
  private final double burst;
  private double level;
  private long atNanos;

  /** A full one. */
  Rate(int perMinute, long nowNanos) {
    this.perNano = perMinute / 60e9;
    this.burst = Math.max(1, perMinute * SECONDS_AT_ONCE / 60);
    this.level = burst;
    this.atNanos = nowNanos;
  }

  /** Takes one if there is one; else says after how long there will be. */
  synchronized Duration take(long nowNanos) {
    long passed = Math.max(0, nowNanos - atNanos);
    atNanos += passed;
    level = Math.min(burst, level + passed * perNano);
    if (level >= 1) {
      level--;
      return Duration.ZERO;
    }
    return Duration.ofNanos((long) Math.ceil((1 - level) / perNano));
  }
}
