package dev.millrace.router.admit;

import dev.millrace.config.Limits;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/** How many requests, and tokens, of all clients a route takes on in a minute. */
final class PerMinute {
  private final Limits limits;
  private final @Nullable Rate requests;
  private final @Nullable Rate tokens;

  private PerMinute(Limits limits, @Nullable Rate requests, @Nullable Rate tokens) {
    this.limits = limits;
    this.requests = requests;
    this.tokens = tokens;
  }

  PerMinute(Limits limits) {
    this(
        limits,
        Rate.of(limits.requestsPerMinute(), Rate.REQUESTS_AT_ONCE),
        Rate.of(limits.tokensPerMinute(), Rate.TOKENS_AT_ONCE));
  }

  /** By other limits; what was taken of those that stay as they are is taken. */
  PerMinute with(Limits next) {
    PerMinute fresh = new PerMinute(next);
    return new PerMinute(
        next,
        next.requestsPerMinute().equals(limits.requestsPerMinute()) ? requests : fresh.requests,
        next.tokensPerMinute().equals(limits.tokensPerMinute()) ? tokens : fresh.tokens);
  }

  boolean countsTokens() {
    return tokens != null;
  }

  Duration takeRequest(long nowNanos) {
    return requests == null ? Duration.ZERO : requests.take(1, nowNanos);
  }

  Duration takeTokens(long many, long nowNanos) {
    return tokens == null ? Duration.ZERO : tokens.take(many, nowNanos);
  }

  void giveBackTokens(long many, long nowNanos) {
    if (tokens != null) {
      tokens.giveBack(many, nowNanos);
    }
  }
}
