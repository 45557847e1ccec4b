package dev.millrace.router.admit;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

final class RateTest {
  private static final long START = -5_000_000_000L;
  private static final Duration TEN_SECONDS = Duration.ofSeconds(10);

  private static boolean takes(Rate rate, Duration at) {
    return rate.take(1, START + at.toNanos()).isZero();
  }

  @Test
  void burst_isWhatTenSecondsAreWorth() {
    Rate rate = new Rate(60, TEN_SECONDS);
    for (int i = 0; i < 10; i++) {
      assertThat(takes(rate, Duration.ZERO)).isTrue();
    }
    assertThat(rate.take(1, START)).isEqualTo(Duration.ofSeconds(1));
    assertThat(takes(rate, Duration.ofMillis(999))).isFalse();
    assertThat(takes(rate, Duration.ofMillis(1001))).isTrue();
    assertThat(takes(rate, Duration.ofMillis(1002))).isFalse();
  }

  @Test
  void rareRequests_comeOneByOne() {
    Rate rate = new Rate(1, TEN_SECONDS);
    assertThat(takes(rate, Duration.ZERO)).isTrue();
    assertThat(rate.take(1, START + Duration.ofSeconds(15).toNanos()))
        .isBetween(Duration.ofSeconds(45), Duration.ofSeconds(46));
    assertThat(takes(rate, Duration.ofSeconds(61))).isTrue();
  }

  @Test
  void moreThanTheBurst_isTakenFromAFullOneAndOwed() {
    Rate rate = new Rate(600, Duration.ofMinutes(1));
    assertThat(rate.take(1, START)).isEqualTo(Duration.ZERO);
    assertThat(rate.take(1800, START)).isEqualTo(Duration.ofMillis(100));

    assertThat(rate.take(1800, START + Duration.ofMillis(100).toNanos())).isEqualTo(Duration.ZERO);

    assertThat(rate.left(START)).isZero();
    assertThat(rate.take(1, START + Duration.ofMillis(100).toNanos()))
        .isEqualTo(Duration.ofMillis(120_100));
  }

  @Test
  void whatWasNotUsed_isThereAgainButNoMore() {
    Rate rate = new Rate(600, Duration.ofMinutes(1));
    rate.take(500, START);
    rate.giveBack(300, START);
    assertThat(rate.left(START)).isEqualTo(400);
    assertThat(rate.untilFull(START)).isEqualTo(Duration.ofSeconds(20));

    rate.giveBack(9000, START);
    assertThat(rate.left(START)).isEqualTo(600);

    rate.giveBack(-700, START);
    assertThat(rate.left(START)).isZero();
    assertThat(rate.take(10, START)).isEqualTo(Duration.ofSeconds(11));
  }

  /** What is used in the end is what flows in, the burst, and what one exchange takes beyond. */
  @Property(tries = 300)
  void tokensUsed_stayWithinWhatFlowsIn(
      @ForAll @IntRange(min = 60, max = 100_000) int perMinute,
      @ForAll @Size(max = 200) int[] steps) {
    Rate rate = new Rate(perMinute, Duration.ofMinutes(1));
    Duration at = Duration.ZERO;
    double used = 0;
    long largest = 0;
    for (int step : steps) {
      at = at.plusMillis(Math.floorMod(step, 1000));
      long now = START + at.toNanos();
      int taken = 1 + Math.floorMod(step, 3000);
      if (rate.take(taken, now).isZero()) {
        int really = Math.floorMod(step / 3, 4000);
        rate.giveBack(taken - really, now);
        used += really;
        largest = Math.max(largest, Math.max(taken, really));
      }
    }
    assertThat(used)
        .isLessThanOrEqualTo(perMinute + perMinute * (at.toMillis() / 60e3) + largest + 1);
  }

  /** In no stretch from the start are there more than the burst and what has flowed in since. */
  @Property(tries = 300)
  void neverMoreThanAgreed(
      @ForAll @IntRange(min = 1, max = 6000) int perMinute,
      @ForAll @Size(max = 300) int[] pausesMillis) {
    Rate rate = new Rate(perMinute, TEN_SECONDS);
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
