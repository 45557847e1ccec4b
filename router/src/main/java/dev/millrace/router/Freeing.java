package dev.millrace.router;

import dev.millrace.router.handoff.HandOff;
import dev.millrace.router.handoff.Outcome;
import io.vertx.core.Future;
import java.time.Duration;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import reactor.core.publisher.Mono;
import reactor.util.retry.Retry;

/**
 * Tries to have blocks freed that nobody will read, for as long as it saves anything: whoever could
 * tell their holder may be down now, and back long before their lease ends.
 */
final class Freeing {
  private static final Duration FIRST_PAUSE = Duration.ofMillis(100);
  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(1);

  private Freeing() {}

  /** One attempt; empty if it could not be done. */
  static Mono<Outcome> attempt(Supplier<Future<Outcome>> call) {
    return Mono.create(
        sink -> call.get().onSuccess(sink::success).onFailure(failure -> sink.success()));
  }

  /**
   * What comes of them; never fails.
   *
   * @param attempt made at once and again; empty if it could not be done
   */
  static Mono<Outcome> of(
      HandOff blocks, Mono<Outcome> attempt, EventLoopScheduler scheduler, LongSupplier nanoClock) {
    return Mono.defer(() ->
            blocks.holder().refusedSince(blocks.sinceNanos())
                ? Mono.just(new Outcome.Lost())
                : attempt)
        .switchIfEmpty(Mono.error(() -> new IllegalStateException("not yet")))
        .retryWhen(
            Retry.backoff(Long.MAX_VALUE, FIRST_PAUSE)
                .maxBackoff(LONGEST_PAUSE)
                .scheduler(scheduler)
                .filter(failure -> blocks.isUsable(nanoClock.getAsLong())))
        .onErrorReturn(new Outcome.Expired());
  }
}
