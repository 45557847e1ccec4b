package dev.millrace.router;

import dev.millrace.router.handoff.Parameters;
import dev.millrace.router.http.Api;
import dev.millrace.router.http.Body;
import dev.millrace.router.pools.Worker;
import io.vertx.core.MultiMap;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClientResponse;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;

/** The leg on which a prefill worker computes the prompt and keeps its blocks. */
final class PrefillLeg implements Leg.Events {
  /** Answers carry the prompt's token ids at most, no text of any length. */
  private static final long MOST_ANSWER_BYTES = 64L << 20;

  /** How the leg ends. */
  sealed interface Prefilled {
    /** The prompt is computed. */
    record Done(Parameters.Found blocks) implements Prefilled {}

    /** It is not. */
    record Failed(Fault fault) implements Prefilled {}
  }

  private final MonoSink<Prefilled> sink;
  private final Worker worker;
  private final Leg leg;
  private final Runnable onConnect;

  private PrefillLeg(MonoSink<Prefilled> sink, Lane lane, Worker worker, Runnable onConnect) {
    this.sink = sink;
    this.worker = worker;
    this.onConnect = onConnect;
    this.leg = new Leg(lane, worker, this);
    sink.onCancel(leg::reset);
  }

  /** The leg, sent when subscribed to; cancelling resets it. */
  static Mono<Prefilled> on(
      Lane lane,
      Worker worker,
      Api api,
      MultiMap headers,
      String requestId,
      Buffer body,
      Runnable onConnect) {
    return Mono.create(sink ->
        new PrefillLeg(sink, lane, worker, onConnect).leg.send(api, headers, requestId, body));
  }

  @Override
  public void connected() {
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
    leg.close();
    sink.success(new Prefilled.Done(found));
  }

  @Override
  public void failed(Fault fault) {
    sink.success(new Prefilled.Failed(fault));
  }
}
