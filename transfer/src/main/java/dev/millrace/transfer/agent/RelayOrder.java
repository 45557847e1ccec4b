package dev.millrace.transfer.agent;

import java.time.Duration;
import java.util.Optional;

/**
 * What to carry to a decode engine.
 *
 * @param handOff the blocks
 * @param reader who is to read them
 * @param copyId a copy that an earlier relay of the hand-off has made; empty: read anew
 * @param readers that will be done with the copy before it is freed, this one among them; 0 leaves
 *     it as it is, and means 1 for a new copy
 * @param deadline for the whole relay
 */
public record RelayOrder(
    HandOff handOff, Reader reader, Optional<String> copyId, int readers, Duration deadline) {
  private static final int MOST_READERS = 1024;

  public RelayOrder {
    if (handOff.blockIds().isEmpty() || handOff.tokens() == 0) {
      throw new AgentRefusal(
          Reason.INVALID, "a hand-off without block ids or tokens has nothing to relay");
    }
    if (readers < 0 || readers > MOST_READERS) {
      throw new AgentRefusal(
          Reason.INVALID, "%d readers (0 to %d)".formatted(readers, MOST_READERS));
    }
  }
}
