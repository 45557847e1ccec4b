package dev.millrace.router.access;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class LimitHeadersTest {
  @ParameterizedTest
  @CsvSource({
    "0, 0ms",
    "1, 1ms",
    "12000000, 12ms",
    "999000001, 1s",
    "1000000000, 1s",
    "7660000000, 7.66s",
    "60000000000, 1m0s",
    "360000000000, 6m0s",
    "90500000000, 1m30.5s",
  })
  void time_isSpeltAsOpenAiDoes(long nanos, String text) {
    assertThat(LimitHeaders.text(Duration.ofNanos(nanos))).isEqualTo(text);
  }
}
