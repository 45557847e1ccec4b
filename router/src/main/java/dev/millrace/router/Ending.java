package dev.millrace.router;

import dev.millrace.router.http.Problem;
import io.vertx.core.MultiMap;
import io.vertx.core.buffer.Buffer;
import java.util.Optional;

/** How an exchange ends. */
sealed interface Ending {
  /** With an answer in one piece, still to be written. */
  record Whole(int status, MultiMap headers, Buffer body) implements Ending {}

  /** With a stream, written up to its last bytes. */
  record Streamed(Buffer last) implements Ending {}

  /** With a stream in which the engine reported an error. */
  record StreamedError(Buffer last) implements Ending {}

  /** With a leg's failure; mid-stream if the client already has its first byte. */
  record Failed(Fault fault) implements Ending {}

  /** With an error of our own making. */
  record Refused(Problem problem) implements Ending {}

  /** Without anybody to answer to. */
  record ClientLeft() implements Ending {}

  /**
   * Why a route could not serve a request that another one may, in a word: it had no place, no
   * worker, or none that did not fail. Empty if it could, or if nobody could.
   */
  default Optional<String> whyNotServed() {
    return switch (this) {
      case Refused(Problem problem) ->
          problem.status() == 503 ? Optional.of(problem.slug()) : Optional.empty();
      case Failed(Fault fault) ->
          fault.isWorkersOwn() || fault instanceof Fault.NotBrought
              ? Optional.of(fault.problem().slug())
              : Optional.empty();
      case Whole _, Streamed _, StreamedError _, ClientLeft _ -> Optional.empty();
    };
  }
}
