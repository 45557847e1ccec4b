package dev.millrace.transfer.agent;

import dev.millrace.layout.IncompatibleGeometry;
import dev.millrace.layout.TransferPlanner;

/**
 * Two engines between which the agent is asked to stand.
 *
 * <p>Whoever shows a decode engine its own hash silences its own check. So what changes bytes or
 * their meaning must be known to be equal here: the operator says by one name of a model's shape
 * that both caches are of one model, and each engine's block lengths prove the shape's layers,
 * heads, head size and element type, as neither handshake is taken if they do not. What neither
 * says, such as the weights' revision, whoever lists the engines answers for.
 */
record Pair(KnownEngine prefill, KnownEngine decode) {

  /** Meets both, and proves that they fit. */
  static Pair meet(Engines engines, HandOff handOff, Reader reader, Deadline deadline) {
    Pair pair = new Pair(engines.meet(handOff.engine(), deadline), engines.meet(reader, deadline));
    pair.requireFit();
    return pair;
  }

  private void requireFit() {
    AgentOptions.SideChannel from = prefill.channel();
    AgentOptions.SideChannel to = decode.channel();
    if (!from.model().equals(to.model())) {
      throw new AgentRefusal(
          Reason.UNPROVEN,
          "side channel %s:%d is listed with model %s, %s:%d with %s; list both with the same one if their caches are of one model"
              .formatted(from.host(), from.port(), from.model(), to.host(), to.port(), to.model()));
    }
    if (prefill.engine().engineId().equals(decode.engine().engineId())) {
      throw new AgentRefusal(
          Reason.INVALID,
          "engine %s cannot read from itself".formatted(prefill.engine().engineId()));
    }
    try {
      TransferPlanner _ = new TransferPlanner(prefill.geometry(), decode.geometry());
    } catch (IncompatibleGeometry e) {
      throw new AgentRefusal(Reason.MISMATCH, String.valueOf(e.getMessage()));
    }
  }

  /** Both geometries, in words. */
  String words() {
    return "%s to %s".formatted(Words.of(prefill.geometry()), Words.of(decode.geometry()));
  }
}
