package dev.millrace.router;

import dev.millrace.router.http.Problem;
import io.vertx.core.MultiMap;
import io.vertx.core.buffer.Buffer;

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
}
