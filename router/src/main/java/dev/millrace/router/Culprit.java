package dev.millrace.router;

import io.vertx.core.MultiMap;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpHeaders;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** What an engine's error comes from, by its answer. */
sealed interface Culprit {
  /** It has too much to do, until some time has passed. */
  record Overload(Duration pause) implements Culprit {}

  /** The request, which any other engine would refuse as well. */
  record Request() implements Culprit {}

  /** The engine itself. */
  record Engine() implements Culprit {}

  /**
   * What vLLM says of prompts that are too long; some versions with status 500, which took workers
   * out of use whose clients asked too much of them (vllm-project/router, pull request 148).
   */
  List<String> TOO_LONG = List.of("context length", "max_model_len", "maximum model length");

  /** Delta-seconds; dates are of other clocks (RFC 9110, 10.2.3). */
  Pattern SECONDS = Pattern.compile("\\d{1,6}");

  /** Of an answer that is an error. */
  static Culprit of(int status, MultiMap headers, Buffer body) {
    Optional<Duration> pause = pause(headers.get(HttpHeaders.RETRY_AFTER));
    if ((status == 429 || status == 503) && pause.isPresent()) {
      return new Overload(pause.get());
    }
    return status < 500 || isTooLong(body) ? new Request() : new Engine();
  }

  private static Optional<Duration> pause(@Nullable String retryAfter) {
    return Optional.ofNullable(retryAfter)
        .map(String::strip)
        .filter(text -> SECONDS.matcher(text).matches())
        .map(text -> Duration.ofSeconds(Long.parseLong(text)));
  }

  private static boolean isTooLong(Buffer body) {
    String text = body.toString(StandardCharsets.UTF_8).toLowerCase(Locale.ROOT);
    return TOO_LONG.stream().anyMatch(text::contains);
  }
}
