package dev.millrace.router.access;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

final class RateTest {
  private static final long START = -5_000_000_000L;

  private static boolean takes(Rate rate, Duration at) {
    return rate.take(START + at.toNanos()).isZero();
  }

  @Test
  void burst_isWhatTenSecondsAreWorth() {
    Rate rate = new Rate(60, START);
    for (int i = 0; i < 10; i++) {
      assertThat(takes(rate, Duration.ZERO)).isTrue();
    }
    assertThat(rate.take(START)).isEqualTo(Duration.ofSeconds(1));
    assertThat(takes(rate, Duration.ofMillis(999))).isFalse();
    assertThat(takes(rate, Duration.ofMillis(1001))).isTrue();
    assertThat(takes(rate, Duration.ofMillis(1002))).isFalse();
  }

  @Test
  void rareRequests_comeOneByOne() {
    Rate rate = new Rate(1, START);
    assertThat(takes(rate, Duration.ZERO)).isTrue();
    assertThat(rate.take(START + Duration.ofSeconds(15).toNanos()))
        .isBetween(Duration.ofSeconds(45), Duration.ofSeconds(46));
    assertThat(takes(rate, Duration.ofSeconds(61))).isTrue();
  }

  /** In no stretch from the start are there more than the burst and what has flowed in since. */
  @Property(tries = 300)
  void neverMoreThanAgreed(
      @ForAll @IntRange(min = 1, max = 6000) int perMinute,
      @ForAll @Size(max = 300) int[] pausesMillis) {
    Rate rate = new Rate(perMinute, START);
    double burst = Math.max(1, perMinute / 6.0);
    Duration at = Duration.ZERO;
    int taken = 0;
    for (int pause : pausesMillis) {
      at = at.plusMillis(Math.floorMod(pause, 200));
      taken += takes(rate, at) ? 1 : 0;
      assertThat((double) taken)
          .isLessThanOrEqualTo(burst + perMinute * at.toMillis() / 60e3 + 1e-6);
    }
  }
}
