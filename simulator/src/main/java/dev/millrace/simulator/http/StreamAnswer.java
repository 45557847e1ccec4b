package dev.millrace.simulator.http;

import dev.millrace.simulator.core.Generator;
import dev.millrace.simulator.core.HandOff;
import dev.millrace.simulator.http.Wording.Piece;
import dev.millrace.simulator.http.Wording.Said;
import dev.millrace.simulator.http.Wording.Usage;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.http.HttpServerResponse;
import java.util.List;
import java.util.Optional;

/**
 * An answer as server-sent events, one event and one write per token. As in vLLM the head leaves
 * before it is decided whether the prompt can be loaded, so an error comes as an event.
 */
final class StreamAnswer extends Answer {
  private final Faults faults;
  private int sent;

  StreamAnswer(
      Generator generator,
      Wording wording,
      String requestId,
      HttpServerResponse response,
      Faults faults,
      Runnable onSettled) {
    super(generator, wording, requestId, response, onSettled);
    this.faults = faults;
  }

  /** Sends the head of the stream. */
  void sendHead() {
    response().setChunked(true).putHeader("content-type", "text/event-stream; charset=utf-8");
    response().writeHead();
  }

  @Override
  Future<Void> say(Piece piece) {
    switch (faults.beforeToken(sent)) {
      case GO_ON -> {}
      case STALL -> {
        return Promise.<Void>promise().future();
      }
      case RESET -> {
        response().reset();
        return Promise.<Void>promise().future();
      }
      case DIE -> {
        faults.die();
        return Promise.<Void>promise().future();
      }
    }
    if (piece.isFirst()) {
      String opening = wording().opening(piece.index());
      if (!opening.isEmpty()) {
        response().write(opening);
      }
    }
    sent++;
    response().write(wording().token(piece));
    if (!response().writeQueueFull()) {
      return Future.succeededFuture();
    }
    Promise<Void> drained = Promise.promise();
    response().drainHandler(drained::tryComplete);
    if (!response().writeQueueFull()) {
      drained.tryComplete();
    }
    return drained.future();
  }

  @Override
  void complete(List<Said> choices, Usage usage, Optional<HandOff> handOff) {
    switch (faults.beforeToken(sent)) {
      case GO_ON -> {
        settle();
        response().end(wording().closing(choices, usage, handOff));
      }
      case STALL -> {}
      case RESET -> response().reset();
      case DIE -> faults.die();
    }
  }

  @Override
  void fail(int choice, ErrorBody error) {
    settle();
    String opening = sent == 0 ? wording().opening(choice) : "";
    response().write(opening);
    wording()
        .failing(error)
        .ifPresentOrElse(last -> response().end(last), () -> response().reset());
  }
}
