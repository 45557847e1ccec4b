package dev.millrace.router;

import dev.millrace.router.agents.Agents;
import dev.millrace.router.handoff.HandOff;
import dev.millrace.router.handoff.Outcome;
import dev.millrace.router.handoff.RefusedRequest;
import dev.millrace.router.http.Api;
import dev.millrace.router.pools.Worker;
import io.vertx.core.MultiMap;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClientResponse;
import java.time.Duration;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;

/**
 * Frees the blocks of a hand-off that no decode leg will read.
 *
 * <p>A KV agent tells the prefill engine, as a decode engine that has read the blocks does. Where
 * none reaches it there is another way, although vLLM has no request for it: when a decode engine
 * refuses a request that names blocks, it tells the prefill engine to free them. So a {@linkplain
 * RefusedRequest request} is sent that must be refused; the blocks are free 0.1 s later. Where
 * neither can be had now, it is tried again until their lease ends.
 */
final class Release {
  private static final Duration ANSWER_WITHIN = Duration.ofSeconds(5);

  /** A read that a decode engine has begun takes milliseconds; blocks are not freed under it. */
  private static final Duration AFTER_ABORT = Duration.ofMillis(500);

  private final Lane lane;
  private final HandOff blocks;
  private final Request refusable;

  /** When to tell the prefill engine. */
  enum When {
    /** No decode worker can be reading the blocks. */
    NOW,
    /** A leg that may have begun to read was reset just now. */
    AFTER_ABORT
  }

  /**
   * What the request that must be refused is made of.
   *
   * @param worker to refuse it, if there is one that can
   */
  record Request(
      Optional<Worker> worker, Api api, String model, MultiMap clientHeaders, String requestId) {}

  private Release(Lane lane, HandOff blocks, Request refusable) {
    this.lane = lane;
    this.blocks = blocks;
    this.refusable = refusable;
  }

  /** Sees to it that the blocks are freed, and ends the hand-off by what came of it. */
  static void of(Lane lane, HandOff blocks, When when, Request refusable) {
    Mono<Outcome> freed =
        Freeing.of(
            blocks,
            new Release(lane, blocks, refusable).attempt(),
            lane.scheduler,
            lane.house.nanoClock);
    Mono<Outcome> outcome =
        switch (when) {
          case NOW -> freed;
          case AFTER_ABORT -> freed.delaySubscription(AFTER_ABORT, lane.scheduler);
        };
    outcome.subscribe(blocks::end);
  }

  private Mono<Outcome> attempt() {
    Agents agents = lane.house.agents;
    if (agents.all().isEmpty() && refusable.worker().isEmpty()) {
      return Mono.just(new Outcome.Expired());
    }
    return Freeing.attempt(() -> agents.release(blocks.pinned()))
        .switchIfEmpty(Mono.defer(this::byRequest));
  }

  private Buffer body() {
    return RefusedRequest.body(refusable.api(), refusable.model(), blocks.pinned().object());
  }

  private Mono<Outcome> byRequest() {
    return Mono.justOrEmpty(refusable.worker())
        .flatMap(worker ->
            Mono.<Outcome>create(sink ->
                new Refusal(sink, lane, worker)
                    .leg.send(
                        refusable.api(), refusable.clientHeaders(), refusable.requestId(), body())))
        .timeout(ANSWER_WITHIN, Mono.empty(), lane.scheduler);
  }

  private static final class Refusal implements Leg.Events {
    private final MonoSink<Outcome> sink;
    private final Leg leg;
    private @Nullable Outcome outcome;

    Refusal(MonoSink<Outcome> sink, Lane lane, Worker worker) {
      this.sink = sink;
      this.leg = new Leg(lane, worker, this);
      sink.onCancel(leg::reset);
    }

    @Override
    public void connected() {}

    @Override
    public void answered(HttpClientResponse response) {
      outcome = RefusedRequest.outcome(response.statusCode()).orElse(null);
      response.endHandler(v -> {
        leg.close();
        sink.success(outcome);
      });
    }

    @Override
    public void failed(Fault fault) {
      sink.success(outcome);
    }
  }
}
