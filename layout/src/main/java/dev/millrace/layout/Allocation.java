package dev.millrace.layout;

/**
 * One tensor that a rank allocates and registers: what vLLM's handshake calls a region, with its
 * {@code block_lens} entry.
 *
 * @param name the tensor's name in a handshake (vLLM: the layer's)
 * @param blocks number of blocks
 * @param blockBytes bytes of one block; blocks follow each other without a gap
 */
public record Allocation(String name, int blocks, long blockBytes) {
  /** Size of the whole tensor. */
  public long bytes() {
    return Math.multiplyExact(blockBytes, blocks);
  }
}
