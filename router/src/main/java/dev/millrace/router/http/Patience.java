package dev.millrace.router.http;

import io.vertx.core.MultiMap;
import java.time.Duration;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * How long a client waits for its answer, by its own word: {@code X-Request-Timeout}, in seconds,
 * such as {@code 30} or {@code 2.5}. It can shorten what the route allows, not lengthen it.
 */
public sealed interface Patience {
  /** The header's name. */
  String HEADER = "x-request-timeout";

  /** Nobody needs more digits, and no more of them fit. */
  Pattern SECONDS = Pattern.compile("\\d{1,9}(?:\\.\\d{1,9})?");

  /** So long. */
  record Lasts(Duration duration) implements Patience {}

  /** It is no number of seconds above zero. */
  record Unreadable(Problem problem) implements Patience {}

  /** What headers say, at most so long. */
  static Patience of(MultiMap headers, Duration longest) {
    @Nullable String said = headers.get(HEADER);
    if (said == null) {
      return new Lasts(longest);
    }
    long millis = SECONDS.matcher(said).matches() ? Math.round(Double.parseDouble(said) * 1e3) : 0;
    if (millis < 1) {
      return new Unreadable(
          Problem.badRequest(
              "invalid_timeout", "X-Request-Timeout must be a number of seconds, such as 2.5"));
    }
    return new Lasts(millis < longest.toMillis() ? Duration.ofMillis(millis) : longest);
  }
}
