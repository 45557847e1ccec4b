package dev.millrace.router.access;

import dev.millrace.config.AccessKey;
import dev.millrace.config.Limits;
import dev.millrace.router.admit.Gate;
import dev.millrace.router.admit.Gate.Entry;
import dev.millrace.router.admit.Gate.Place;
import dev.millrace.router.http.Problem;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** A client by its key. Shared by all event loops. */
public final class Caller {
  /** Who is not asked for a key. */
  static final Caller ANYBODY = new Caller("", Set.of(), 0, null, null);

  private final String name;
  private final Set<String> models;
  private final int priority;
  private final @Nullable Gate gate;
  private final @Nullable Rate rate;

  private Caller(
      String name, Set<String> models, int priority, @Nullable Gate gate, @Nullable Rate rate) {
    this.name = name;
    this.models = models;
    this.priority = priority;
    this.gate = gate;
    this.rate = rate;
  }

  static Caller of(AccessKey key, long nowNanos) {
    return new Caller(
        key.name(),
        key.models(),
        key.priority(),
        key.concurrent().isPresent()
            ? new Gate(new Limits(key.concurrent().getAsInt(), 0, Limits.defaults().patience()))
            : null,
        key.requestsPerMinute().isPresent()
            ? new Rate(key.requestsPerMinute().getAsInt(), nowNanos)
            : null);
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
    Duration pause = rate == null ? Duration.ZERO : rate.take(nowNanos);
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

  private Problem exceeded(String what, Problem.Retry retry) {
    return new Problem(
        Problem.Side.CLIENT,
        429,
        "rate_limit_exceeded",
        "The key \"%s\" %s".formatted(name, what),
        retry);
  }
}
