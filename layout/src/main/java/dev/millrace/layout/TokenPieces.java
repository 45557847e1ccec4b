package dev.millrace.layout;

import java.util.List;

/**
 * A span of a sequence, cut where a block ends on either side: each piece lies in one block of the
 * source and one of the destination. A state is one piece of one token.
 */
final class TokenPieces {
  private final int[] sourceBlocks;
  private final int[] sourceTokens;
  private final int[] targetBlocks;
  private final int[] targetTokens;
  private final int[] counts;
  private final int size;
  private final int spanTokens;

  /**
   * One side of a transfer: its block table in a group, in blocks and not ids, and how many tokens
   * a block has.
   */
  record Side(String name, BlockTable table, int blockSize) {
    long from() {
      return (long) table.firstBlock() * blockSize;
    }

    long to() {
      return ((long) table.firstBlock() + table.length()) * blockSize;
    }

    int block(long token) {
      return table.id((int) (token / blockSize - table.firstBlock()));
    }

    /** Where the block of {@code token} ends. */
    long blockEnd(long token) {
      return (token / blockSize + 1) * blockSize;
    }

    /** The end of the last block that a span ending at {@code token} touches. */
    long roundUp(long token) {
      return Math.ceilDiv(token, (long) blockSize) * blockSize;
    }

    private void requireCovering(long from, long to, int group) {
      if (from < from() || to > to()) {
        throw new IllegalArgumentException(
            "the %s's block table of KV-cache group %d has tokens [%d, %d) (%d blocks of %d tokens, from block %d of the sequence on), but tokens [%d, %d) are needed"
                .formatted(
                    name,
                    group,
                    from(),
                    to(),
                    table.length(),
                    blockSize,
                    table.firstBlock(),
                    from,
                    to));
      }
    }
  }

  /**
   * @param needed how many tokens before the end of the span both sides must have; what lies before
   *     them moves where both have it
   */
  TokenPieces(int group, Side source, Side target, TokenSpan span, int needed, Rounding rounding) {
    if (span.tokens() > 0) {
      long from = Math.max(span.from(), (long) span.to() - needed);
      source.requireCovering(from, span.to(), group);
      target.requireCovering(from, span.to(), group);
    }
    long from = Math.max(span.from(), Math.max(source.from(), target.from()));
    long to = Math.max(from, span.to());
    spanTokens = (int) (span.tokens() == 0 ? 0 : to - from);
    long end =
        switch (rounding) {
          case EXACT -> to;
          case WHOLE_BLOCKS -> Math.min(source.roundUp(to), target.roundUp(to));
        };
    int most =
        spanTokens == 0
            ? 0
            : (int) ((end - from) / source.blockSize() + (end - from) / target.blockSize() + 3);
    sourceBlocks = new int[most];
    sourceTokens = new int[most];
    targetBlocks = new int[most];
    targetTokens = new int[most];
    counts = new int[most];
    int pieces = 0;
    for (long token = from; spanTokens > 0 && token < end; pieces++) {
      long next = Math.min(end, Math.min(source.blockEnd(token), target.blockEnd(token)));
      sourceBlocks[pieces] = source.block(token);
      sourceTokens[pieces] = (int) (token % source.blockSize());
      targetBlocks[pieces] = target.block(token);
      targetTokens[pieces] = (int) (token % target.blockSize());
      counts[pieces] = (int) (next - token);
      token = next;
    }
    size = pieces;
  }

  /**
   * The states that both tables have. They are paired from their ends: the last block of either
   * holds the state behind the last token, those before it what an engine keeps of earlier ones
   * (vLLM pairs them so, v0.28, {@code _apply_prefix_caching}).
   */
  TokenPieces(BlockTable source, BlockTable target) {
    size = Math.min(source.length(), target.length());
    spanTokens = size;
    sourceBlocks = new int[size];
    targetBlocks = new int[size];
    sourceTokens = new int[size];
    targetTokens = new int[size];
    counts = new int[size];
    for (int piece = 0; piece < size; piece++) {
      sourceBlocks[piece] = source.id(source.length() - size + piece);
      targetBlocks[piece] = target.id(target.length() - size + piece);
      counts[piece] = 1;
    }
  }

  /** Nothing moves. */
  TokenPieces() {
    this(BlockTable.of(), BlockTable.of());
  }

  int size() {
    return size;
  }

  /** Tokens of the span itself, without what rounding adds; or states. */
  int spanTokens() {
    return spanTokens;
  }

  int sourceBlock(int piece) {
    return sourceBlocks[piece];
  }

  int sourceToken(int piece) {
    return sourceTokens[piece];
  }

  int targetBlock(int piece) {
    return targetBlocks[piece];
  }

  int targetToken(int piece) {
    return targetTokens[piece];
  }

  int count(int piece) {
    return counts[piece];
  }

  void requireSourceBlocksIn(List<Box> boxes) {
    requireIn("source", sourceBlocks, boxes);
  }

  void requireTargetBlocksIn(List<Box> boxes) {
    requireIn("target", targetBlocks, boxes);
  }

  private void requireIn(String side, int[] ids, List<Box> boxes) {
    if (boxes.isEmpty()) {
      return;
    }
    Region smallest = boxes.getFirst().region();
    for (Box box : boxes) {
      if (box.region().blocks() < smallest.blocks()) {
        smallest = box.region();
      }
    }
    for (int piece = 0; piece < size; piece++) {
      if (ids[piece] < 0 || ids[piece] >= smallest.blocks()) {
        throw new IllegalArgumentException(
            "the %s's block table names block %d, but region %s has %d blocks, 0 to %d"
                .formatted(
                    side, ids[piece], smallest.name(), smallest.blocks(), smallest.blocks() - 1));
      }
    }
  }
}
