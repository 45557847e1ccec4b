package dev.millrace.simulator;

import java.time.Duration;

/**
 * How long an engine pretends to compute.
 *
 * @param prefillTokensPerSecond prompt tokens per second; 0 is as fast as possible
 * @param interTokenDelay time between two tokens of an answer; zero is as fast as possible
 */
public record Timing(double prefillTokensPerSecond, Duration interTokenDelay) {
  /** As fast as possible. */
  public static final Timing ZERO = new Timing(0, Duration.ZERO);

  public Timing {
    if (prefillTokensPerSecond < 0 || interTokenDelay.isNegative()) {
      throw new IllegalArgumentException(
          "timing: prefillTokensPerSecond=%s (>= 0), interTokenDelay=%s (>= 0)"
              .formatted(prefillTokensPerSecond, interTokenDelay));
    }
  }

  /** The time to compute {@code tokens} tokens of a prompt. */
  public Duration prefill(int tokens) {
    return prefillTokensPerSecond == 0
        ? Duration.ZERO
        : Duration.ofNanos((long) (tokens / prefillTokensPerSecond * 1e9));
  }
}
