package dev.millrace.router.access;

import dev.millrace.config.AccessKey;
import dev.millrace.config.Limits;
import dev.millrace.router.admit.Gate;
import dev.millrace.router.admit.Gate.Entry;
import dev.millrace.router.admit.Gate.Place;
import dev.millrace.router.admit.Rate;
import dev.millrace.router.http.Problem;
import io.vertx.core.MultiMap;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.LongAdder;
import org.jspecify.annotations.Nullable;

/** A client by its key. Shared by all event loops. */
public final class Caller {
  /** Who is not asked for a key. */
  static final Caller ANYBODY = new Caller("", Set.of(), 0, null, null, null);

  private final String name;
  private final Set<String> models;
  private final int priority;
  private final @Nullable Gate gate;
  private final @Nullable Rate requests;
  private final @Nullable Rate tokens;
  private final LongAdder refused = new LongAdder();
  private final LongAdder used = new LongAdder();

  private Caller(
      String name,
      Set<String> models,
      int priority,
      @Nullable Gate gate,
      @Nullable Rate requests,
      @Nullable Rate tokens) {
    this.name = name;
    this.models = models;
    this.priority = priority;
    this.gate = gate;
    this.requests = requests;
    this.tokens = tokens;
  }

  static Caller of(AccessKey key) {
    return new Caller(
        key.name(),
        key.models(),
        key.priority(),
        key.concurrent().isPresent()
            ? new Gate(new Limits(key.concurrent().getAsInt(), 0, Limits.defaults().patience()))
            : null,
        Rate.of(key.requestsPerMinute(), Rate.REQUESTS_AT_ONCE),
        Rate.of(key.tokensPerMinute(), Rate.TOKENS_AT_ONCE));
  }

  /** What operators call it; empty if nobody is asked for a key. */
  public String name() {
    return name;
  }

  /** While it waits for a place; the higher, the earlier. */
  public int priority() {
    return priority;
  }

  /** Whether it may ask for a model. */
  public boolean mayUse(String model) {
    return models.isEmpty() || models.contains(model);
  }

  /** What came of letting it in. */
  public sealed interface Turn {
    /**
     * It may go on.
     *
     * @param place that it gives back in the end; empty if they are not counted
     */
    record Granted(Optional<Place> place) implements Turn {}

    /** It has had its share for now. */
    record Denied(Problem problem) implements Turn {}
  }

  /** Counts one more exchange of this caller. */
  public Turn next(long nowNanos) {
    Duration pause = requests == null ? Duration.ZERO : requests.take(1, nowNanos);
    if (!pause.isZero()) {
      return new Turn.Denied(
          exceeded(
              "may ask no more often than it has in the last minute", Problem.Retry.after(pause)));
    }
    if (gate == null) {
      return new Turn.Granted(Optional.empty());
    }
    return gate.enter(priority, place -> {}) instanceof Entry.Admitted(Place place)
        ? new Turn.Granted(Optional.of(place))
        : new Turn.Denied(
            exceeded(
                "has %d exchanges under way, as many as it may"
                    .formatted(gate.limits().concurrent()),
                Problem.Retry.SOON));
  }

  /** Whether its tokens are counted. */
  public boolean countsTokens() {
    return tokens != null;
  }

  /**
   * Takes tokens before it is known how many an exchange uses.
   *
   * @return why it may not, if so
   */
  public Optional<Problem> takeTokens(long many, long nowNanos) {
    Duration pause = tokens == null ? Duration.ZERO : tokens.take(many, nowNanos);
    return pause.isZero()
        ? Optional.empty()
        : Optional.of(
            exceeded(
                "has used its tokens of this minute, and about %d are asked for".formatted(many),
                Problem.Retry.after(pause)));
  }

  /** An exchange has ended for which tokens were taken: now it is known how many it has used. */
  public void usedTokens(long many, long taken, long nowNanos) {
    used.add(many);
    if (tokens != null) {
      tokens.giveBack(taken - many, nowNanos);
    }
  }

  /** Tells whoever is asked how often, in the headers that OpenAI's clients know. */
  public void tellLimits(MultiMap headers, long nowNanos) {
    tell(headers, requests, LimitHeaders.REQUESTS, nowNanos);
    tell(headers, tokens, LimitHeaders.TOKENS, nowNanos);
  }

  private static void tell(
      MultiMap headers, @Nullable Rate rate, LimitHeaders names, long nowNanos) {
    if (rate != null) {
      names.tell(headers, rate, nowNanos);
    }
  }

  /** How often it was told to come back later. */
  public long refused() {
    return refused.sum();
  }

  /** Tokens that its exchanges have used, as far as they are counted. */
  public long used() {
    return used.sum();
  }

  private Problem exceeded(String what, Problem.Retry retry) {
    refused.increment();
    return new Problem(
        Problem.Side.CLIENT,
        429,
        "rate_limit_exceeded",
        "The key \"%s\" %s".formatted(name, what),
        retry);
  }
}
