package dev.millrace.router;

import dev.millrace.router.handoff.Parameters;
import dev.millrace.router.http.Body;
import dev.millrace.router.http.ClientRequest;
import dev.millrace.router.http.ClientRequest.Course;
import dev.millrace.router.http.StreamHead;
import dev.millrace.router.pools.TransferEvidence;
import dev.millrace.router.pools.TransferReport;
import dev.millrace.router.pools.Worker;
import io.vertx.core.MultiMap;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.http.HttpHeaders;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;

/**
 * The leg on which a decode worker takes over the blocks and answers, up to the moment from which
 * its answer cannot be taken back.
 */
final class DecodeLeg implements Leg.Events {
  /** An answer in one piece; a million tokens with their log probabilities fit. */
  private static final long MOST_ANSWER_BYTES = 256L << 20;

  private static final String EVENT_STREAM = "text/event-stream";

  /** What an answer begins with. */
  sealed interface Decoded {
    /** The whole answer, as the client may see it. */
    record Whole(int status, MultiMap headers, Buffer body) implements Decoded {}

    /** A stream that has said something; paused, with the bytes that were held. */
    record Speaks(DecodeLeg leg, HttpClientResponse response, Buffer held) implements Decoded {}

    /** A failure of which the client has seen nothing. */
    record Failed(Fault fault) implements Decoded {}
  }

  /** What the worker needs beside the request. */
  enum Reads {
    /** Blocks of a prefill worker. */
    BLOCKS,
    /** Nothing. */
    NOTHING
  }

  /** How far the leg has got with the worker. */
  enum Sent {
    /** No byte has left us. */
    NOTHING,
    /** The worker may have the request. */
    PERHAPS,
    /** The worker has begun to answer, so it knows the request. */
    ANSWERED
  }

  private final MonoSink<Decoded> sink;
  private final Lane lane;
  private final Worker worker;
  private final ClientRequest client;
  private final Reads reads;
  private final Consumer<Sent> progress;
  private final TransferEvidence.Leg evidence;
  private final Leg leg;
  private @Nullable Consumer<Fault> midStream;

  private DecodeLeg(
      MonoSink<Decoded> sink,
      Lane lane,
      Worker worker,
      ClientRequest client,
      Reads reads,
      Consumer<Sent> progress,
      Consumer<TransferReport> transferred) {
    this.sink = sink;
    this.lane = lane;
    this.worker = worker;
    this.client = client;
    this.reads = reads;
    this.progress = progress;
    this.evidence = worker.evidence().begin(transferred);
    this.leg = new Leg(lane, worker, this);
    sink.onCancel(leg::reset);
  }

  /** The leg, sent when subscribed to; cancelling resets it. */
  static Mono<Decoded> on(
      Lane lane,
      Worker worker,
      ClientRequest client,
      MultiMap headers,
      String requestId,
      Buffer body,
      Reads reads,
      Consumer<Sent> progress,
      Consumer<TransferReport> transferred) {
    return Mono.create(sink ->
        new DecodeLeg(sink, lane, worker, client, reads, progress, transferred)
            .leg.send(client, headers, requestId, body));
  }

  @Override
  public void connected() {
    progress.accept(Sent.PERHAPS);
  }

  @Override
  public void answered(HttpClientResponse response) {
    progress.accept(Sent.ANSWERED);
    if (response.statusCode() == 200 && isEventStream(response)) {
      hold(response);
    } else {
      leg.collect(response, MOST_ANSWER_BYTES, body -> complete(response, body));
    }
  }

  private static boolean isEventStream(HttpClientResponse response) {
    String type = response.getHeader(HttpHeaders.CONTENT_TYPE);
    return type != null && type.regionMatches(true, 0, EVENT_STREAM, 0, EVENT_STREAM.length());
  }

  private void hold(HttpClientResponse response) {
    StreamHead head = new StreamHead();
    response.endHandler(
        v -> leg.fail(new Fault.Garbage(worker, "its stream ended before it said anything")));
    response.handler(chunk -> {
      switch (head.feed(chunk)) {
        case StreamHead.Verdict.Silent() -> {}
        case StreamHead.Verdict.Speaks() -> {
          response.pause();
          worker.breaker().succeeded(lane.now());
          sink.success(new Decoded.Speaks(this, response, head.held()));
        }
        case StreamHead.Verdict.Fails(int status, Buffer body) ->
            leg.fail(new Fault.Answered(worker, status, jsonHeaders(), body));
        case StreamHead.Verdict.Garbage(String what) -> leg.fail(new Fault.Garbage(worker, what));
      }
    });
  }

  private static MultiMap jsonHeaders() {
    return MultiMap.caseInsensitiveMultiMap().add("content-type", "application/json");
  }

  private void complete(HttpClientResponse response, Body body) {
    if (!client.api().generates()) {
      // Texts, audio, anything; parameters of a transfer are not among it.
      whole(response, body.toBuffer());
      return;
    }
    switch (Parameters.clean(body.bytes(), body.length())) {
      case Parameters.Cleaned.Clean(Buffer clean) -> whole(response, clean);
      case Parameters.Cleaned.Failed(_, Buffer clean)
          when client.course() instanceof Course.AtKeeper -> {
        // That a response has failed is what was asked for.
        whole(response, clean);
      }
      case Parameters.Cleaned.Failed(String what, _) ->
          leg.fail(new Fault.Garbage(worker, "status 200, although " + what));
      case Parameters.Cleaned.Garbage() ->
          leg.fail(new Fault.Garbage(worker, "its body is not a JSON object"));
    }
  }

  private void whole(HttpClientResponse response, Buffer body) {
    leg.complete();
    sink.success(new Decoded.Whole(200, response.headers(), body));
  }

  /** Blocks that cannot be had end in an answer that says so; whose fault it is, edges find out. */
  @Override
  public boolean mayBeAnothersFault(Fault fault) {
    return reads == Reads.BLOCKS
        && switch (fault) {
          case Fault.Answered _, Fault.Garbage _ -> true;
          case Fault.Unreachable _, Fault.Broken _, Fault.Late _, Fault.NotBrought _ -> false;
        };
  }

  @Override
  public void failed(Fault fault) {
    if (midStream != null) {
      midStream.accept(fault);
    } else {
      sink.success(new Decoded.Failed(fault));
    }
  }

  @Override
  public void closed() {
    worker.evidence().end(evidence);
    lane.house.evidence.legEnded(worker);
  }

  /** From now on, failures are not for the head's reader any more. */
  void onMidStreamFailure(Consumer<Fault> reader) {
    midStream = reader;
  }

  /** The leg beneath. */
  Leg leg() {
    return leg;
  }

  /** The worker that answers. */
  Worker worker() {
    return worker;
  }
}
