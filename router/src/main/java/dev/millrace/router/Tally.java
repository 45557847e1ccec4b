package dev.millrace.router;

import dev.millrace.router.access.Caller;
import dev.millrace.router.admit.Gate;
import dev.millrace.router.http.ClientRequest;
import dev.millrace.router.http.Problem;
import dev.millrace.router.http.TokenCount;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The tokens of one exchange of a caller or a route that has only so many: taken before they are
 * used, as many as there may be, and put right when it is known how many it were. Owned by its
 * event loop.
 *
 * <p>Taken are the prompt's, by its bytes, and as many for the answer as the request allows, or
 * {@value #ANSWER_TOKENS} where it does not say. In the end those count that the client has got,
 * and the prompt's with them; also the prompt's alone if the client has left once a worker had it,
 * or leaving early would cost nothing. What failed or was refused costs nothing.
 */
final class Tally {
  /** Engines go on to the model's length where nothing is said; few answers do. */
  private static final long ANSWER_TOKENS = 1024;

  private final Caller caller;
  private final TokenCount count;
  private final long taken;
  private @Nullable Gate route;
  private long takenOfRoute;
  private boolean sent;

  Tally(Caller caller, ClientRequest client) {
    this.caller = caller;
    long prompt = client.promptTokens();
    this.count = new TokenCount(prompt);
    this.taken = prompt + client.mostAnswerTokens(ANSWER_TOKENS);
  }

  /** Takes the tokens of the caller's, or says why not. */
  Optional<Problem> take(long nowNanos) {
    return caller.takeTokens(taken, nowNanos);
  }

  /**
   * Takes them of a route's as well, and gives those of an earlier one back. It takes no more than
   * a minute's, whatever the request asks for: other clients need them too, and will not wait for
   * an answer that nobody generates.
   */
  Optional<Problem> takeOf(Gate next, long nowNanos) {
    if (route != null) {
      route.giveBackTokens(takenOfRoute, nowNanos);
      route = null;
    }
    takenOfRoute = Math.min(taken, next.tokensPerMinute());
    Optional<Problem> tooMany = next.takeTokens(takenOfRoute, nowNanos);
    if (tooMany.isEmpty()) {
      route = next;
    }
    return tooMany;
  }

  /** A worker is given the prompt. */
  void sent() {
    sent = true;
  }

  /** What counts the answer's tokens. */
  TokenCount count() {
    return count;
  }

  /** Puts it right, once, and says how many tokens it were. */
  long settle(Ending ending, boolean begun, long nowNanos) {
    boolean costs =
        switch (ending) {
          case Ending.Whole _, Ending.Streamed _, Ending.StreamedError _ -> true;
          case Ending.ClientLeft() -> sent;
          case Ending.Failed _, Ending.Refused _ -> begun;
        };
    long used = costs ? count.prompt() + count.answer() : 0;
    caller.usedTokens(used, taken, nowNanos);
    if (route != null) {
      route.giveBackTokens(takenOfRoute - used, nowNanos);
    }
    return used;
  }

  /** How many were taken before. */
  long taken() {
    return taken;
  }
}
