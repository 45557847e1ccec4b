package dev.millrace.router.access;

import dev.millrace.router.admit.Rate;
import io.vertx.core.MultiMap;
import io.vertx.core.http.HttpHeaders;
import java.math.BigDecimal;
import java.time.Duration;

/**
 * What of a limit is left, as OpenAI says it: {@code x-ratelimit-limit-…}, {@code -remaining-…} and
 * {@code -reset-…}, the last one as {@code 1s}, {@code 6m0s} or {@code 120ms}: when all is there
 * again if nothing more is asked.
 */
enum LimitHeaders {
  /** Of requests. */
  REQUESTS("requests"),
  /** Of tokens. */
  TOKENS("tokens");

  private final CharSequence limit;
  private final CharSequence remaining;
  private final CharSequence reset;

  LimitHeaders(String of) {
    this.limit = HttpHeaders.createOptimized("x-ratelimit-limit-" + of);
    this.remaining = HttpHeaders.createOptimized("x-ratelimit-remaining-" + of);
    this.reset = HttpHeaders.createOptimized("x-ratelimit-reset-" + of);
  }

  /** Sets them. */
  void tell(MultiMap headers, Rate rate, long nowNanos) {
    headers.set(limit, String.valueOf(rate.perMinute()));
    headers.set(remaining, String.valueOf(rate.left(nowNanos)));
    headers.set(reset, text(rate.untilFull(nowNanos)));
  }

  static String text(Duration time) {
    long millis = time.toMillis() + (time.toNanosPart() % 1_000_000 == 0 ? 0 : 1);
    if (millis < 1000) {
      return millis + "ms";
    }
    String minutes = millis < 60_000 ? "" : millis / 60_000 + "m";
    BigDecimal seconds = BigDecimal.valueOf(millis % 60_000, 3).stripTrailingZeros();
    return minutes + seconds.toPlainString() + "s";
  }
}
