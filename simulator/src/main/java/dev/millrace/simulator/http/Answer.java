package dev.millrace.simulator.http;

import dev.millrace.simulator.core.Ending;
import dev.millrace.simulator.core.Generation;
import dev.millrace.simulator.core.Generator;
import dev.millrace.simulator.core.HandOff;
import dev.millrace.simulator.core.TransferParams;
import dev.millrace.simulator.http.Wording.Finish;
import dev.millrace.simulator.http.Wording.Piece;
import dev.millrace.simulator.http.Wording.Said;
import dev.millrace.simulator.http.Wording.Usage;
import dev.millrace.simulator.model.Prediction;
import dev.millrace.simulator.model.Prediction.Candidate;
import dev.millrace.simulator.model.Spoken;
import dev.millrace.simulator.model.Vocabulary;
import io.vertx.core.Future;
import io.vertx.core.http.HttpServerResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * One request's answer on its way to the client: turns tokens into text, cuts it at stop strings
 * and runs one generation per choice, one after the other. A choice after the first finds the
 * prompt in the prefix cache and needs no transfer of its own.
 */
abstract class Answer implements Generation.Listener {
  private final Generator generator;
  private final Wording wording;
  private final String requestId;
  private final HttpServerResponse response;
  private final Runnable onSettled;

  private final List<Said> choices = new ArrayList<>();
  private int completionTokens;
  private @Nullable Generation generation;
  private boolean settled;
  private Completion onComplete = (said, usage, handOff) -> {};

  /** Of several prompts an answer names the blocks of the first (vLLM 0.32.0). */
  private Optional<HandOff> firstHandOff = Optional.empty();

  private StopStrings stops;
  private StringBuilder text = new StringBuilder();
  private List<Integer> tokens = new ArrayList<>();
  private List<List<Candidate>> likelihoods = new ArrayList<>();

  /**
   * An answer that has not begun.
   *
   * @param requestId the engine's own name of the request
   * @param onSettled called once, when nothing more will happen
   */
  Answer(
      Generator generator,
      Wording wording,
      String requestId,
      HttpServerResponse response,
      Runnable onSettled) {
    this.generator = generator;
    this.wording = wording;
    this.requestId = requestId;
    this.response = response;
    this.onSettled = onSettled;
    this.stops = new StopStrings(wording.request().stop());
  }

  /** Something that is done with a whole answer. */
  interface Completion {
    void complete(List<Said> choices, Usage usage, Optional<HandOff> handOff);
  }

  /** Does something once the answer is whole, before its end is sent. */
  final void whenComplete(Completion done) {
    onComplete = done;
  }

  /** Submits the first choice. */
  final void begin() {
    response.exceptionHandler(error -> leave());
    response.closeHandler(closed -> leave());
    next();
  }

  /** The client has left, or the engine ends. Idempotent. */
  final void leave() {
    if (settled) {
      return;
    }
    settle();
    Generation current = generation;
    if (current != null) {
      generator.end(current, new Ending.Aborted());
    }
  }

  /** One token's text; completes when more may come. */
  abstract Future<Void> say(Piece piece);

  /** All choices are there. */
  abstract void complete(List<Said> choices, Usage usage, Optional<HandOff> handOff);

  /** Nothing more will come but this error. */
  abstract void fail(int choice, ErrorBody error);

  @Override
  public final Future<Void> onTokens(Spoken said) {
    Future<Void> ready = Future.succeededFuture();
    for (int i = 0; i < said.count(); i++) {
      if (settled) {
        return Future.succeededFuture();
      }
      int token = said.token(i);
      completionTokens++;
      String piece = stops.push(Vocabulary.text(token));
      Optional<Finish> finish = stops.found().map(stop -> new Finish("stop", stop));
      if (finish.isEmpty() && tokens.size() + 1 == wording.request().maxTokens()) {
        finish = Optional.of(Finish.LENGTH);
        piece += stops.flush();
      }
      List<Candidate> candidates = candidates(said.prediction(i));
      Piece next =
          new Piece(choices.size(), tokens.size(), text.length(), piece, token, candidates, finish);
      text.append(piece);
      tokens.add(token);
      likelihoods.add(candidates);
      // A listener that wants no more for now has a future that is not complete; the rest of the
      // burst is at most a few hundred bytes and is written all the same.
      Future<Void> taken = say(next);
      ready = taken.isComplete() ? ready : taken;
      if (stops.found().isPresent()) {
        Generation current = generation;
        if (current != null) {
          generator.end(current, new Ending.Stopped(Optional.empty()));
        }
        return ready;
      }
    }
    return ready;
  }

  private List<Candidate> candidates(Prediction prediction) {
    OptionalInt alternatives = wording.request().alternatives();
    return alternatives.isPresent() ? prediction.candidates(alternatives.getAsInt()) : List.of();
  }

  @Override
  public final void onEnd(Ending ending) {
    if (settled) {
      return;
    }
    switch (ending) {
      case Ending.Length length -> choiceEnds(Finish.LENGTH, length.handOff());
      case Ending.Stopped stopped ->
          choiceEnds(new Finish("stop", stops.found().orElse(null)), stopped.handOff());
      case Ending.Aborted aborted -> {
        fail(choices.size(), ErrorBody.coreFailed());
      }
      case Ending.RequestFailed failed -> fail(choices.size(), ErrorBody.internal());
      case Ending.CoreFailed failed -> fail(choices.size(), ErrorBody.coreFailed());
      case Ending.Overloaded overloaded -> fail(choices.size(), ErrorBody.overloaded());
    }
  }

  final HttpServerResponse response() {
    return response;
  }

  final Wording wording() {
    return wording;
  }

  /** Whether the client is gone or has everything. */
  final boolean isSettled() {
    return settled;
  }

  /** Counts the request as ended. Idempotent. */
  final void settle() {
    if (!settled) {
      settled = true;
      onSettled.run();
    }
  }

  private void choiceEnds(Finish finish, Optional<HandOff> handOff) {
    if (firstHandOff.isEmpty()) {
      firstHandOff = handOff;
    }
    choices.add(new Said(choices.size(), text.toString(), tokens, likelihoods, finish));
    if (choices.size() < wording.request().answers()) {
      stops = new StopStrings(wording.request().stop());
      text = new StringBuilder();
      tokens = new ArrayList<>();
      likelihoods = new ArrayList<>();
      next();
      return;
    }
    Optional<HandOff> said = firstHandOff.isPresent() ? firstHandOff : handOff;
    Usage usage = new Usage(wording.request().promptTokens(), completionTokens);
    onComplete.complete(choices, usage, said);
    complete(choices, usage, said);
  }

  private void next() {
    CompletionRequest request = wording.request();
    int choice = choices.size() % request.choices();
    boolean last = choice + 1 == request.choices();
    TransferParams params =
        switch (request.params()) {
          case TransferParams.RemoteDecode decode when last -> decode;
          case TransferParams.RemoteDecode decode -> new TransferParams.None();
          case TransferParams.RemotePrefill remote when choice == 0 -> remote;
          case TransferParams.RemotePrefill remote -> new TransferParams.None();
          case TransferParams.Fatal fatal -> fatal;
          case TransferParams.None none -> none;
        };
    Generation next =
        new Generation(
            request.model(),
            request.prompt(choices.size()).toArray(),
            request.maxTokens(),
            choice,
            params,
            requestId,
            this);
    generation = next;
    generator.submit(next);
  }
}
