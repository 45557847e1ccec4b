package dev.millrace.router;

import dev.millrace.router.http.ErrorWatch;
import dev.millrace.router.http.HeaderRules;
import dev.millrace.router.http.ModelNames;
import dev.millrace.router.http.Problem;
import dev.millrace.router.http.SecretFilter;
import dev.millrace.router.http.TokenCount;
import dev.millrace.router.http.WholeEvents;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.http.HttpServerResponse;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;

/**
 * The part of a stream that cannot be taken back: bytes go from the decode worker's socket to the
 * client's.
 *
 * <p>A client that reads slowly fills its socket; then the worker's is not read until it has
 * drained, so that the tokens wait at the engine and not in here. Events are passed on whole: of
 * one in whose middle the worker dies the client sees nothing. Pieces that are read in one turn of
 * the event loop are written in one, at its end: a write to a socket costs more than all else that
 * is done for a token, and a worker that is ahead of us brings several at a time. One timer watches
 * for silence: it fires when the deadline would be over had nothing come, and goes on from the last
 * piece.
 */
final class StreamRelay {
  private final MonoSink<Ending> sink;
  private final Lane lane;
  private final DecodeLeg decode;
  private final HttpClientResponse from;
  private final HttpServerResponse to;
  private final @Nullable ModelNames names;
  private final Duration idle;
  private final Runnable lastToken;
  private final @Nullable TokenCount tokens;
  private final SecretFilter filter = new SecretFilter();
  private final ErrorWatch errors = new ErrorWatch();
  private final WholeEvents events = new WholeEvents();
  private long lastNanos;
  private final Runnable send = this::send;
  private @Nullable Buffer first;
  private @Nullable Buffer several;
  private boolean over;
  private @Nullable Disposable watch;

  private StreamRelay(
      MonoSink<Ending> sink,
      Lane lane,
      DecodeLeg.Decoded.Speaks speaks,
      HttpServerResponse to,
      @Nullable ModelNames names,
      Duration idle,
      Runnable lastToken,
      @Nullable TokenCount tokens) {
    this.sink = sink;
    this.lane = lane;
    this.decode = speaks.leg();
    this.from = speaks.response();
    this.to = to;
    this.names = names;
    this.idle = idle;
    this.lastToken = lastToken;
    this.tokens = tokens;
    sink.onDispose(() -> {
      over = true;
      stopWatch();
    });
    sink.onCancel(() -> {
      decode.leg().reset();
      endEvent();
    });
  }

  /**
   * Passes a stream on when subscribed to; cancelling resets it.
   *
   * @param names puts the client's name for its model in the place of the engine's; null if it is
   *     the same
   * @param tokens counts those of the stream, where somebody wants to know
   */
  static Mono<Ending> of(
      Lane lane,
      DecodeLeg.Decoded.Speaks speaks,
      HttpServerResponse to,
      @Nullable ModelNames names,
      Duration idle,
      Runnable lastToken,
      @Nullable TokenCount tokens) {
    return Mono.create(sink ->
        new StreamRelay(sink, lane, speaks, to, names, idle, lastToken, tokens)
            .begin(speaks.held()));
  }

  private void begin(Buffer held) {
    decode.onMidStreamFailure(fault -> {
      endEvent();
      sink.success(new Ending.Failed(fault));
    });
    to.setStatusCode(from.statusCode());
    HeaderRules.copyToClient(from.headers(), to.headers());
    to.drainHandler(v -> {
      if (!over) {
        lastNanos = lane.now();
        from.resume();
      }
    });
    from.handler(this::pass);
    from.endHandler(v -> {
      decode.leg().close();
      gather(shown(filter.rest()));
      if (names != null) {
        gather(names.rest());
      }
      collect(events.rest());
      lastToken.run();
      Buffer last = takeGathered();
      sink.success(
          errors.hasReported() ? new Ending.StreamedError(last) : new Ending.Streamed(last));
    });
    lastNanos = lane.now();
    watch(idle.toNanos());
    count(held);
    gather(shown(filter.pass(held)));
    from.resume();
  }

  private void pass(Buffer piece) {
    if (over) {
      return;
    }
    lastNanos = lane.now();
    errors.look(piece);
    count(piece);
    gather(shown(filter.pass(piece)));
  }

  private Buffer shown(Buffer piece) {
    return names == null ? piece : names.pass(piece);
  }

  private void count(Buffer piece) {
    if (tokens != null) {
      tokens.look(piece);
    }
  }

  private void gather(Buffer shown) {
    collect(events.pass(shown));
  }

  private void collect(Buffer shown) {
    if (shown.length() == 0) {
      return;
    }
    if (first == null) {
      first = shown;
      lane.scheduler.afterThisTurn(send);
      return;
    }
    if (several == null) {
      several = Buffer.buffer(4 * first.length()).appendBuffer(first);
    }
    several.appendBuffer(shown);
  }

  private Buffer takeGathered() {
    Buffer all = several != null ? several : first != null ? first : Buffer.buffer(0);
    first = null;
    several = null;
    return all;
  }

  private void send() {
    Buffer all = takeGathered();
    if (all.length() == 0 || to.closed() || to.ended()) {
      return;
    }
    to.write(all);
    if (!over && to.writeQueueFull()) {
      from.pause();
    }
  }

  /**
   * Sees to it that an error event which follows is one of its own. What is held of another is
   * dropped; one that is too large to be held ends here.
   */
  private void endEvent() {
    send();
    if (events.isCut() && !to.closed() && !to.ended()) {
      to.write(Buffer.buffer("\n\n"));
    }
  }

  private void watch(long nanos) {
    watch = lane.scheduler.schedule(this::look, nanos, TimeUnit.NANOSECONDS);
  }

  private void look() {
    long left = idle.toNanos() - (lane.now() - lastNanos);
    if (left > 0) {
      watch(left);
      return;
    }
    if (to.writeQueueFull()) {
      // Nothing was read from the worker meanwhile: it is not the one that is silent.
      decode.leg().reset();
      endEvent();
      sink.success(new Ending.Refused(notRead()));
      return;
    }
    decode.leg().fail(new Fault.Late(decode.worker(), "sent no further piece of its stream", idle));
  }

  private Problem notRead() {
    return Problem.ofClient(
        408,
        "client_too_slow",
        "Nothing of the stream was read for " + idle.toMillis() + " ms, its route's limit");
  }

  private void stopWatch() {
    if (watch != null) {
      watch.dispose();
    }
  }
}
