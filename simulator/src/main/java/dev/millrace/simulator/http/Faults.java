package dev.millrace.simulator.http;

import dev.millrace.simulator.Misbehaviour;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/** The misbehaviours that concern HTTP, asked at the moments at which they strike. */
final class Faults {
  private final Supplier<List<Misbehaviour>> current;
  private final Runnable death;

  /** What to do at such a moment. */
  enum Step {
    GO_ON,
    STALL,
    RESET,
    DIE
  }

  Faults(Supplier<List<Misbehaviour>> current, Runnable death) {
    this.current = current;
    this.death = death;
  }

  /** Ends the engine. */
  void die() {
    death.run();
  }

  /** The error that every completion is refused with. */
  Optional<ErrorBody> refusal() {
    for (Misbehaviour misbehaviour : current.get()) {
      if (misbehaviour instanceof Misbehaviour.Refuse refuse) {
        return Optional.of(ErrorBody.ofStatus(refuse.status()));
      }
    }
    return Optional.empty();
  }

  /** Before anything is done. */
  Step beforeHead() {
    for (Misbehaviour misbehaviour : current.get()) {
      if (misbehaviour instanceof Misbehaviour.StallBeforeHead) {
        return Step.STALL;
      }
      if (misbehaviour instanceof Misbehaviour.ResetBeforeHead) {
        return Step.RESET;
      }
    }
    return Step.GO_ON;
  }

  /** Before a token of a stream goes out, {@code sent} tokens after its start. */
  Step beforeToken(int sent) {
    for (Misbehaviour misbehaviour : current.get()) {
      if (misbehaviour instanceof Misbehaviour.StallBeforeFirstToken
          || (misbehaviour instanceof Misbehaviour.StallMidStream stall
              && sent >= stall.afterTokens())) {
        return Step.STALL;
      }
      if (misbehaviour instanceof Misbehaviour.ResetMidStream reset
          && sent >= reset.afterTokens()) {
        return Step.RESET;
      }
      if (misbehaviour instanceof Misbehaviour.DieMidStream die && sent >= die.afterTokens()) {
        return Step.DIE;
      }
    }
    return Step.GO_ON;
  }

  /** Before a whole body goes out: what would strike in a stream strikes here. */
  Step beforeAnswer() {
    return beforeToken(Integer.MAX_VALUE);
  }
}
