package dev.millrace.router;

import dev.millrace.router.handoff.HandOff;
import dev.millrace.router.handoff.Outcome;
import dev.millrace.router.http.Api;
import dev.millrace.router.pools.Worker;
import io.vertx.core.MultiMap;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.json.Json;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;

/**
 * Frees the blocks of a hand-off that no decode leg will read.
 *
 * <p>vLLM has no request for it. But when a decode engine refuses a request that names blocks, it
 * tells the prefill engine to free them: so a request is sent that must be refused, with {@code
 * min_tokens} above {@code max_tokens}. vLLM 0.32.0 answers 400, and the blocks are free 0.1 s
 * later. Without it they stay until their lease ends, 30 s.
 */
final class Release {
  private static final Duration ANSWER_WITHIN = Duration.ofSeconds(5);

  /** A read that a decode engine has begun takes milliseconds; blocks are not freed under it. */
  private static final Duration AFTER_ABORT = Duration.ofMillis(500);

  private Release() {}

  /** When to send the request. */
  enum When {
    /** No decode worker can be reading the blocks. */
    NOW,
    /** A leg that may have begun to read was reset just now. */
    AFTER_ABORT
  }

  /**
   * Whether vLLM has told the prefill engine to free the blocks of a request that it answered so.
   * What is refused before vLLM looks at the request, such as a wrong key, frees nothing.
   */
  static boolean freesBlocks(int status) {
    return status == 400;
  }

  /** Sends the request to a worker and ends the hand-off by what it answers. */
  static void send(
      Lane lane,
      HandOff handOff,
      Worker worker,
      Api api,
      String model,
      MultiMap clientHeaders,
      String requestId,
      When when) {
    Mono<Outcome> refused =
        Mono.<Outcome>create(sink ->
                new Refusal(sink, lane, worker)
                    .leg.send(
                        api, clientHeaders, requestId, body(api, model, handOff.parameters())))
            .timeout(ANSWER_WITHIN, Mono.just(new Outcome.Expired()), lane.scheduler);
    Mono<Outcome> outcome =
        switch (when) {
          case NOW -> refused;
          case AFTER_ABORT -> refused.delaySubscription(AFTER_ABORT, lane.scheduler);
        };
    outcome.subscribe(handOff::end, e -> handOff.end(new Outcome.Expired()));
  }

  private static Buffer body(Api api, String model, Buffer parameters) {
    String prompt =
        switch (api) {
          case CHAT_COMPLETIONS -> "\"messages\":[{\"role\":\"user\",\"content\":\"-\"}]";
          case COMPLETIONS -> "\"prompt\":\"-\"";
        };
    String head =
        "{\"model\":"
            + Json.encode(model)
            + ","
            + prompt
            + ",\"max_tokens\":1,\"min_tokens\":2,\"kv_transfer_params\":";
    return Buffer.buffer(head.length() + parameters.length() + 1)
        .appendBytes(head.getBytes(StandardCharsets.UTF_8))
        .appendBuffer(parameters)
        .appendByte((byte) '}');
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
      int status = response.statusCode();
      outcome =
          freesBlocks(status)
              ? new Outcome.Released()
              : status == 200 ? new Outcome.Consumed() : new Outcome.Expired();
      response.endHandler(v -> {
        leg.close();
        succeed();
      });
    }

    private void succeed() {
      sink.success(outcome == null ? new Outcome.Expired() : outcome);
    }

    @Override
    public void failed(Fault fault) {
      succeed();
    }
  }
}
