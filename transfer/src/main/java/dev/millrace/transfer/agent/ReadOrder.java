package dev.millrace.transfer.agent;

import dev.millrace.layout.Geometry;
import java.time.Duration;
import java.util.function.Function;

/**
 * What to read.
 *
 * @param handOff the blocks
 * @param target how to lay out the copy, given the engine's own geometry
 * @param fromToken first token that is wanted
 * @param deadline for the whole read
 * @param afterRead what becomes of the engine's blocks
 */
public record ReadOrder(
    HandOff handOff,
    Function<Geometry, TargetShape> target,
    int fromToken,
    Duration deadline,
    AfterRead afterRead) {

  /** What happens to the engine's blocks when all bytes have arrived. */
  public enum AfterRead {
    /** Nothing: they stay pinned to the end of their lease. */
    KEEP,
    /** They are released before the read is said to be done. */
    RELEASE
  }

  /** The target that is laid out as the engine itself. */
  public static TargetShape asSource(Geometry source) {
    return new TargetShape(source.parallelism().tensor(), source.blockSize(), source.layout());
  }

  public ReadOrder {
    if (fromToken < 0 || fromToken > handOff.tokens()) {
      throw new AgentRefusal(
          Reason.INVALID,
          "tokens from %d on, of a hand-off of %d tokens".formatted(fromToken, handOff.tokens()));
    }
    if (handOff.blockIds().isEmpty() || handOff.tokens() == 0) {
      throw new AgentRefusal(
          Reason.INVALID, "a hand-off without block ids or tokens has nothing to read");
    }
  }
}
