package dev.millrace.config;

import java.time.Duration;

/**
 * When a worker of a pool is taken out of use for what becomes of its legs, and for how long.
 *
 * @param consecutiveFailures so many failed legs without one in between that went well, at least 1
 * @param failurePercent or so many of a hundred legs of the last half minute, {@code 1..100}
 * @param failureLegs if there were so many of them, at least 1
 * @param ejectionTime how long it gets nothing the first time; doubled each time after that
 * @param maxEjectionTime up to this
 * @param maxEjectionPercent most workers of the pool that are out of use at a time, of a hundred,
 *     {@code 0..100}; 0: none ever is
 */
public record Health(
    int consecutiveFailures,
    int failurePercent,
    int failureLegs,
    Duration ejectionTime,
    Duration maxEjectionTime,
    int maxEjectionPercent) {
  static final int MOST_LEGS = 10_000;
  private static final Health DEFAULTS =
      new Health(5, 50, 20, Duration.ofSeconds(5), Duration.ofSeconds(60), 50);

  public Health {
    if (consecutiveFailures < 1
        || consecutiveFailures > MOST_LEGS
        || failureLegs < 1
        || failureLegs > MOST_LEGS) {
      throw new IllegalArgumentException(
          "health: consecutive-failures is %d and failure-legs is %d, must be 1 to %d"
              .formatted(consecutiveFailures, failureLegs, MOST_LEGS));
    }
    if (failurePercent < 1
        || failurePercent > 100
        || maxEjectionPercent < 0
        || maxEjectionPercent > 100) {
      throw new IllegalArgumentException(
          "health: failure-percent is %d, must be 1 to 100; max-ejection-percent is %d, must be 0 to 100"
              .formatted(failurePercent, maxEjectionPercent));
    }
    if (!Deadlines.inRange(ejectionTime) || !Deadlines.inRange(maxEjectionTime)) {
      throw new IllegalArgumentException(
          "health: ejection-time is %s and max-ejection-time is %s, must be 1ms to 24h"
              .formatted(ejectionTime, maxEjectionTime));
    }
  }

  /** Five failures in a row, or half of twenty; out for 5 s at first and 60 s at most. */
  public static Health defaults() {
    return DEFAULTS;
  }
}
