package dev.millrace.router.admit;

import dev.millrace.config.Limits;
import dev.millrace.router.admit.Gate.Entry;
import dev.millrace.router.admit.Gate.Place;
import dev.millrace.router.http.Problem;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;
import reactor.core.scheduler.Scheduler;

/** Gets one exchange past a gate. Everything but the call of a waiter is on its own event loop. */
public final class Admission {
  private final Gate gate;
  private final Scheduler loop;
  private final MonoSink<Verdict> sink;
  private Gate.@Nullable Waiter waiter;
  private @Nullable Disposable patience;
  private boolean over;

  /** What came of it. */
  public sealed interface Verdict {
    /** The exchange has a place, and gives it back. */
    record Admitted(Place place) implements Verdict {}

    /** It has none. */
    record Refused(Problem problem) implements Verdict {}
  }

  private Admission(Gate gate, Scheduler loop, MonoSink<Verdict> sink) {
    this.gate = gate;
    this.loop = loop;
    this.sink = sink;
  }

  /**
   * Asks for a place when subscribed to, and waits for one. Whoever cancels while it waits leaves
   * the queue.
   *
   * @param priority the higher, the earlier
   * @param loop the event loop of the exchange
   */
  public static Mono<Verdict> to(Gate gate, int priority, Scheduler loop) {
    return Mono.create(sink -> new Admission(gate, loop, sink).ask(priority));
  }

  private void ask(int priority) {
    switch (gate.enter(priority, this::called)) {
      case Entry.Admitted(Place place) -> sink.success(new Verdict.Admitted(place));
      case Entry.Full() -> sink.success(new Verdict.Refused(full(gate.limits())));
      case Entry.Queued(Gate.Waiter queued) -> {
        waiter = queued;
        patience =
            loop.schedule(this::tired, gate.limits().patience().toMillis(), TimeUnit.MILLISECONDS);
        sink.onCancel(this::gone);
      }
    }
  }

  /** From another exchange's event loop, perhaps before this one knows that it was queued. */
  private void called(Place place) {
    loop.schedule(() -> takes(place));
  }

  private void takes(Place place) {
    if (over) {
      place.release();
      return;
    }
    over = true;
    endPatience();
    sink.success(new Verdict.Admitted(place));
  }

  private void tired() {
    if (!over && waiter != null && waiter.giveUp()) {
      over = true;
      sink.success(new Verdict.Refused(tooLong(gate.limits())));
    }
  }

  private void gone() {
    over = true;
    endPatience();
    if (waiter != null) {
      waiter.leave();
    }
  }

  private void endPatience() {
    if (patience != null) {
      patience.dispose();
    }
  }

  private static Problem full(Limits limits) {
    return new Problem(
        Problem.Side.US,
        503,
        "overloaded",
        "%d exchanges are under way and %d wait, which is as many as the route takes on"
            .formatted(limits.concurrent(), limits.waiting()),
        Problem.Retry.SOON);
  }

  private static Problem tooLong(Limits limits) {
    return new Problem(
        Problem.Side.US,
        503,
        "overloaded",
        "No place became free within %d ms; %d exchanges are under way, as many as the route takes on"
            .formatted(limits.patience().toMillis(), limits.concurrent()),
        Problem.Retry.SOON);
  }
}
