package dev.millrace.layout;

import java.util.Arrays;

/**
 * Which blocks hold a sequence in one KV-cache group. Block {@code ids[i]} holds the tokens from
 * {@code (firstBlock + i) * blockSize} on. A sliding-window group, or a table that starts behind a
 * prefix hit, has {@code firstBlock > 0}.
 */
public final class BlockTable {
  private final int firstBlock;
  private final int[] ids;

  private BlockTable(int firstBlock, int[] ids) {
    if (firstBlock < 0) {
      throw new IllegalArgumentException("firstBlock=" + firstBlock + " (>= 0)");
    }
    this.firstBlock = firstBlock;
    this.ids = ids;
  }

  /** A table that starts with the sequence. */
  public static BlockTable of(int... ids) {
    return new BlockTable(0, ids.clone());
  }

  /** A table whose first entry is block number {@code firstBlock} of the sequence. */
  public static BlockTable startingAt(int firstBlock, int... ids) {
    return new BlockTable(firstBlock, ids.clone());
  }

  /**
   * The table of a sequence of {@code tokens} tokens of which only the last {@code ids.length}
   * blocks exist, as an engine exports it for a sliding-window group.
   */
  public static BlockTable suffix(int tokens, int blockSize, int... ids) {
    int all = Math.ceilDiv(tokens, blockSize);
    return new BlockTable(Math.max(0, all - ids.length), ids.clone());
  }

  /**
   * The table in smaller blocks: id <i>i</i> becomes the ids {@code i * factor} to {@code i *
   * factor + factor - 1}.
   */
  public BlockTable split(int factor) {
    if (factor == 1) {
      return this;
    }
    int[] smaller = new int[Math.multiplyExact(ids.length, factor)];
    for (int i = 0; i < smaller.length; i++) {
      smaller[i] = Math.addExact(Math.multiplyExact(ids[i / factor], factor), i % factor);
    }
    return new BlockTable(Math.multiplyExact(firstBlock, factor), smaller);
  }

  /** Number in the sequence of the first block in the table. */
  public int firstBlock() {
    return firstBlock;
  }

  /** Number of blocks in the table. */
  public int length() {
    return ids.length;
  }

  /** The id of the {@code index}-th block in the table. */
  public int id(int index) {
    return ids[index];
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof BlockTable that
        && firstBlock == that.firstBlock
        && Arrays.equals(ids, that.ids);
  }

  @Override
  public int hashCode() {
    return 31 * firstBlock + Arrays.hashCode(ids);
  }

  @Override
  public String toString() {
    return "blocks " + firstBlock + "+" + Arrays.toString(ids);
  }
}
