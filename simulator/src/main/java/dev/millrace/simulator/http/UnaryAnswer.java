package dev.millrace.simulator.http;

import dev.millrace.simulator.core.Generator;
import dev.millrace.simulator.core.HandOff;
import dev.millrace.simulator.http.Wording.Piece;
import dev.millrace.simulator.http.Wording.Said;
import dev.millrace.simulator.http.Wording.Usage;
import io.vertx.core.Future;
import io.vertx.core.http.HttpServerResponse;
import java.util.List;
import java.util.Optional;

/** An answer in one body. */
final class UnaryAnswer extends Answer {
  private final Faults faults;

  UnaryAnswer(
      Generator generator,
      Wording wording,
      String requestId,
      HttpServerResponse response,
      Faults faults,
      Runnable onSettled) {
    super(generator, wording, requestId, response, onSettled);
    this.faults = faults;
  }

  @Override
  Future<Void> say(Piece piece) {
    return Future.succeededFuture();
  }

  @Override
  void complete(List<Said> choices, Usage usage, Optional<HandOff> handOff) {
    switch (faults.beforeAnswer()) {
      case GO_ON -> {
        settle();
        response()
            .putHeader("content-type", "application/json")
            .end(wording().body(choices, usage, handOff));
      }
      case STALL -> {}
      case RESET -> {
        settle();
        response().reset();
      }
      case DIE -> faults.die();
    }
  }

  @Override
  void fail(int choice, ErrorBody error) {
    settle();
    FrontDoor.answer(response(), wording().request().api(), error);
  }
}
