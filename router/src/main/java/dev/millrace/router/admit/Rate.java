package dev.millrace.router.admit;

import java.time.Duration;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * A token bucket: so many a minute on average, and at once as many as some seconds are worth, at
 * least one. Shared by all event loops.
 *
 * <pre>
 *  level(t) = min(burst, level(t0) + (t - t0) · perMinute / 60 s)
 *  n may be taken  ⇔  level ≥ min(n, burst)
 * </pre>
 *
 * <p>Whoever takes more than the burst takes it from a full bucket and leaves a debt, for which
 * those that come next wait; so does whoever turns out to have taken more than was known before.
 */
public final class Rate {
  /** Of requests so many may come at once as this is worth. */
  public static final Duration REQUESTS_AT_ONCE = Duration.ofSeconds(10);

  /** They differ by a factor of a thousand in tokens, and their numbers are guessed at first. */
  public static final Duration TOKENS_AT_ONCE = Duration.ofMinutes(1);

  private static final double MINUTE_NANOS = 60e9;

  private final int perMinute;
  private final double burst;
  private double level;
  private long atNanos;
  private boolean begun;

  /**
   * A full one.
   *
   * @param atOnce what may be taken at once is worth so long
   */
  public Rate(int perMinute, Duration atOnce) {
    this.perMinute = perMinute;
    this.burst = Math.max(1, perMinute * (atOnce.toNanos() / MINUTE_NANOS));
    this.level = burst;
  }

  /** One of so many, or null if there is no bound. */
  public static @Nullable Rate of(OptionalInt perMinute, Duration atOnce) {
    return perMinute.isPresent() ? new Rate(perMinute.getAsInt(), atOnce) : null;
  }

  /** What flows in. */
  public int perMinute() {
    return perMinute;
  }

  /** Takes so many if there are as many; else says after how long there will be. */
  public synchronized Duration take(long many, long nowNanos) {
    fill(nowNanos);
    double needed = Math.min((double) many, burst);
    if (level >= needed) {
      level -= many;
      return Duration.ZERO;
    }
    return untilThereAre(needed);
  }

  /** Gives back what was not used; below zero, takes what was used beyond what was taken. */
  public synchronized void giveBack(long many, long nowNanos) {
    fill(nowNanos);
    level = Math.min(burst, level + many);
  }

  /** What is there. */
  public synchronized long left(long nowNanos) {
    fill(nowNanos);
    return (long) Math.max(0, level);
  }

  /** When it is full, if nobody takes any. */
  public synchronized Duration untilFull(long nowNanos) {
    fill(nowNanos);
    return untilThereAre(burst);
  }

  private Duration untilThereAre(double wanted) {
    return Duration.ofNanos((long) Math.ceil((wanted - level) * MINUTE_NANOS / perMinute));
  }

  private void fill(long nowNanos) {
    if (!begun) {
      begun = true;
      atNanos = nowNanos;
    }
    long passed = Math.max(0, nowNanos - atNanos);
    atNanos += passed;
    level = Math.min(burst, level + passed * (perMinute / MINUTE_NANOS));
  }
}
