package dev.millrace.router;

import dev.millrace.config.Role;
import dev.millrace.router.http.Problem;
import dev.millrace.router.pools.Breaker;
import dev.millrace.router.pools.Worker;
import io.vertx.core.MultiMap;
import io.vertx.core.buffer.Buffer;
import java.time.Duration;

/** How a leg fails. */
sealed interface Fault {
  /** The worker of the leg. */
  Worker worker();

  /** No connection: no byte has left us. */
  record Unreachable(Worker worker, String why) implements Fault {}

  /** The connection ended before the answer was complete. */
  record Broken(Worker worker, String why, Connection connection) implements Fault {}

  /** No answer within the deadline. */
  record Late(Worker worker, String what, Duration deadline) implements Fault {}

  /** An answer that no engine gives. */
  record Garbage(Worker worker, String what) implements Fault {}

  /** The worker answered an error, which is the client's to see. */
  record Answered(Worker worker, int status, MultiMap headers, Buffer body) implements Fault {}

  /**
   * The blocks did not get to where the worker of the decode leg reads them; no leg was sent.
   *
   * @param why in words for people
   */
  record NotBrought(Worker worker, String why) implements Fault {}

  /** Whether a leg's connection had carried another one before. */
  enum Connection {
    /** It was opened for this leg. */
    FRESH,
    /** It was idle, and the worker may have closed it at that very moment. */
    REUSED
  }

  /** Whether the worker is to blame, and another one may do better. */
  default boolean isWorkersOwn() {
    return switch (this) {
      case Unreachable _, Broken _, Late _, Garbage _ -> true;
      case NotBrought _ -> false;
      case Answered answered -> answered.status() >= 500;
    };
  }

  /** Tells the worker's breaker what it needs to know. */
  default void count(long nowNanos) {
    Breaker breaker = worker().breaker();
    switch (this) {
      case Broken _ when isStaleConnection() -> {}
      case NotBrought _ -> {}
      case Answered answered -> {
        switch (Culprit.of(answered.status(), answered.headers(), answered.body())) {
          case Culprit.Overload(Duration pause) -> breaker.coolDown(pause, nowNanos);
          case Culprit.Request() -> breaker.succeeded(nowNanos);
          case Culprit.Engine() -> breaker.failed(problem().message(), nowNanos);
        }
      }
      case Unreachable _, Broken _, Late _, Garbage _ ->
          breaker.failed(problem().message(), nowNanos);
    }
  }

  /** Whether the leg met a connection that its worker was just closing. */
  default boolean isStaleConnection() {
    return this instanceof Broken(_, _, Connection connection) && connection == Connection.REUSED;
  }

  /** What the client is told when there is no answer of an engine to pass on. */
  default Problem problem() {
    boolean prefill = worker().role() == Role.PREFILL;
    Problem.Side side = prefill ? Problem.Side.PREFILL : Problem.Side.DECODE;
    String stage = prefill ? "prefill" : "decode";
    String who = "The " + stage + " worker " + worker().url();
    return switch (this) {
      case Unreachable(_, String why) ->
          new Problem(
              side,
              503,
              stage + "_unreachable",
              who + " accepts no connection (" + why + "); is it running?",
              Problem.Retry.SOON);
      case Broken(_, String why, _) ->
          new Problem(
              side,
              502,
              stage + "_broken",
              who + " closed the connection before its answer was complete (" + why + ")",
              Problem.Retry.SOON);
      case Late(_, String what, Duration deadline) ->
          new Problem(
              side,
              504,
              stage + "_timeout",
              who + " " + what + " within " + deadline.toMillis() + " ms",
              Problem.Retry.SOON);
      case Garbage(_, String what) ->
          new Problem(
              side,
              502,
              stage + "_garbage",
              who + " answered what no engine does: " + what,
              Problem.Retry.NEVER);
      case NotBrought(_, String why) ->
          new Problem(Problem.Side.US, 503, "blocks_not_brought", why, Problem.Retry.SOON);
      case Answered answered ->
          new Problem(
              side,
              502,
              stage + "_error",
              who + " answered status " + answered.status(),
              Problem.Retry.NEVER);
    };
  }
}
