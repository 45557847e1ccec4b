package dev.millrace.transfer.agent;

import dev.millrace.layout.Layout;

/**
 * How the agent lays out a copy.
 *
 * @param tensorParallel number of ranks
 * @param blockSize tokens per block
 * @param layout order of the axes inside a block
 */
public record TargetShape(int tensorParallel, int blockSize, Layout layout) {
  private static final int MOST_RANKS = 1024;
  private static final int MOST_BLOCK_TOKENS = 1 << 16;

  public TargetShape {
    if (tensorParallel < 1
        || tensorParallel > MOST_RANKS
        || blockSize < 1
        || blockSize > MOST_BLOCK_TOKENS) {
      throw new AgentRefusal(
          Reason.INVALID,
          "a target of %d ranks (1 to %d) and blocks of %d tokens (1 to %d)"
              .formatted(tensorParallel, MOST_RANKS, blockSize, MOST_BLOCK_TOKENS));
    }
  }
}
