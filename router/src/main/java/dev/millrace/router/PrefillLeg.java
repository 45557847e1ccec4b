package dev.millrace.router;

import dev.millrace.router.handoff.Parameters;
import dev.millrace.router.handoff.Pinned;
import dev.millrace.router.http.Api;
import dev.millrace.router.http.Body;
import dev.millrace.router.pools.Worker;
import io.vertx.core.MultiMap;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClientResponse;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;

/**
 * The leg on which a prefill worker computes the prompt and keeps its blocks.
 *
 * <p>A leg that is given up stays open a moment longer. If the worker had just finished, its answer
 * is on the way, and nobody but that answer can say which blocks have to be freed; an engine that
 * still computes stops when the connection is closed and frees them itself.
 */
final class PrefillLeg implements Leg.Events {
  /** Answers carry the prompt's token ids at most, no text of any length. */
  private static final long MOST_ANSWER_BYTES = 64L << 20;

  /**
   * How long an answer that may be on the way is waited for once nobody wants it. What is computed
   * meanwhile is in vain; but an answer that crosses with the reset leaves blocks that nobody knows
   * of, to the end of their lease. Most prompts take less than this, so few legs are reset at all.
   */
  private static final Duration LINGER = Duration.ofMillis(500);

  /** How the leg ends. */
  sealed interface Prefilled {
    /**
     * The prompt is computed.
     *
     * @param blocks that the worker holds
     * @param answer the whole of it
     */
    record Done(Parameters.Found blocks, Body answer) implements Prefilled {}

    /** It is not. */
    record Failed(Fault fault) implements Prefilled {}
  }

  private final MonoSink<Prefilled> sink;
  private final Worker worker;
  private final Leg leg;
  private final Lane lane;
  private final Runnable onConnect;
  private final BiConsumer<Worker, Pinned> orphaned;
  private boolean connected;
  private boolean abandoned;

  private PrefillLeg(
      MonoSink<Prefilled> sink,
      Lane lane,
      Worker worker,
      Runnable onConnect,
      BiConsumer<Worker, Pinned> orphaned) {
    this.sink = sink;
    this.lane = lane;
    this.worker = worker;
    this.onConnect = onConnect;
    this.orphaned = orphaned;
    this.leg = new Leg(lane, worker, this);
    sink.onCancel(this::abandon);
  }

  /**
   * The leg, sent when subscribed to; cancelling resets it.
   *
   * @param orphaned takes the blocks of an answer that came when nobody wanted it any more
   */
  static Mono<Prefilled> on(
      Lane lane,
      Worker worker,
      Api api,
      MultiMap headers,
      String requestId,
      Buffer body,
      Runnable onConnect,
      BiConsumer<Worker, Pinned> orphaned) {
    return Mono.create(sink ->
        new PrefillLeg(sink, lane, worker, onConnect, orphaned)
            .leg.send(api, headers, requestId, body));
  }

  private void abandon() {
    if (connected && leg.isOpen()) {
      abandoned = true;
      lane.scheduler.schedule(leg::reset, LINGER.toMillis(), TimeUnit.MILLISECONDS);
    } else {
      leg.reset();
    }
  }

  @Override
  public void connected() {
    connected = true;
    onConnect.run();
  }

  @Override
  public void answered(HttpClientResponse response) {
    leg.collect(response, MOST_ANSWER_BYTES, this::complete);
  }

  private void complete(Body body) {
    Parameters.Found found = Parameters.find(body.bytes(), body.length());
    if (found instanceof Parameters.Found.Garbage) {
      leg.fail(new Fault.Garbage(worker, "its body is not a JSON object"));
      return;
    }
    leg.complete();
    if (!abandoned) {
      sink.success(new Prefilled.Done(found, body));
    } else if (found instanceof Parameters.Found.Blocks(Pinned pinned)) {
      orphaned.accept(worker, pinned);
    }
  }

  @Override
  public void failed(Fault fault) {
    sink.success(new Prefilled.Failed(fault));
  }
}
