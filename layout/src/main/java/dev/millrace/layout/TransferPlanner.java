package dev.millrace.layout;

import java.util.ArrayList;
import java.util.List;

/**
 * Plans which bytes bring a sequence from one engine's cache to another's.
 *
 * <p>Planning is one intersection of boxes. Every region of the destination rank is intersected
 * with every region of the source ranks that serve its heads, along LAYER, KV, HEAD and DIM; the
 * span of tokens is cut where a block ends on either side. A pair of regions and a piece of the
 * span then is a box of at most five axes with a stride on each side. Its axes are ordered by their
 * stride at the destination, those that are contiguous on both sides are merged into a run, the
 * rest is counted through. Unequal tensor parallelism, pipeline stages, block sizes, HND against
 * NHD, cross-layer blocks, transposed K: all of it follows, none of it is a case of its own. States
 * of state-space layers move whole, their channels being what heads are elsewhere.
 *
 * <p>Where several source ranks hold the same head (more ranks than heads, MLA), destination rank
 * <i>r</i> of <i>D</i> reads it from rank <i>r&middot;P/D</i> of <i>P</i> if that one holds it, or
 * from the next one that does.
 *
 * <p>Planners are immutable and can be shared between threads.
 */
public final class TransferPlanner {
  private final Geometry source;
  private final Geometry target;

  /**
   * A planner from one engine to another.
   *
   * @throws IncompatibleGeometry with both values, if the engines' model shapes differ (never for
   *     tensor or pipeline parallelism, block size or layout); also for decode context parallelism,
   *     which cannot be planned yet
   */
  public TransferPlanner(Geometry source, Geometry target) {
    ShapeAgreement.require(source, target);
    this.source = source;
    this.target = target;
  }

  /** The geometry that is read from. */
  public Geometry source() {
    return source;
  }

  /** The geometry that is written to. */
  public Geometry target() {
    return target;
  }

  /**
   * The bytes that a destination rank must read to own {@code span} of a sequence.
   *
   * <p>In each KV-cache group those tokens move that the span, the source's table and the
   * destination's table have in common. A full-attention group must have the whole span on both
   * sides, a sliding-window group the last {@code windowTokens} of it. Of a state-space group the
   * states move that both tables have, paired from their ends, unless the span is empty.
   *
   * @param targetRank a rank of the target geometry, or one of its shape at other addresses
   * @param sourceBlocks the source's block table, per KV-cache group, ids as engines exchange them:
   *     each stands for {@link Geometry#blocksPerId} blocks
   * @param targetBlocks the destination's block table, per KV-cache group, likewise
   * @param span tokens of the sequence; {@code from} is where the local prefix hit ends
   * @param rounding whether source blocks may move whole
   * @throws IllegalArgumentException if a table does not have the tokens it must have, names a
   *     block that is not there, or if their number is not that of the groups
   * @throws IncompatibleGeometry if the source's ranks do not hold all that the destination rank
   *     holds, which is a fault of the geometries
   */
  public TransferPlan plan(
      Rank targetRank,
      List<BlockTable> sourceBlocks,
      List<BlockTable> targetBlocks,
      TokenSpan span,
      Rounding rounding) {
    requireTables("source", sourceBlocks);
    requireTables("target", targetBlocks);
    requireGroups(targetRank);
    if (span.tokens() > 0) {
      requireStates("source", sourceBlocks);
      requireStates("target", targetBlocks);
    }
    return planBlocks(
        targetRank, blocks(sourceBlocks, source), blocks(targetBlocks, target), span, rounding);
  }

  /** The same with tables of blocks instead of ids. A state that has no table does not move. */
  TransferPlan planBlocks(
      Rank targetRank,
      List<BlockTable> sourceBlocks,
      List<BlockTable> targetBlocks,
      TokenSpan span,
      Rounding rounding) {
    List<TokenPieces> pieces = pieces(sourceBlocks, targetBlocks, span, rounding);
    Planning planning = new Planning(targetRank, pieces);
    return new TransferPlan(planning.reads(), tail(planning.wanted, targetBlocks, span));
  }

  private static List<BlockTable> blocks(List<BlockTable> tables, Geometry geometry) {
    List<BlockTable> blocks = new ArrayList<>();
    for (int group = 0; group < tables.size(); group++) {
      BlockTable table = tables.get(group);
      blocks.add(
          switch (geometry.model().groups().get(group)) {
            case CacheGroup.Full full -> table.split(geometry.blocksPerId());
            case CacheGroup.SlidingWindow window -> table.split(geometry.blocksPerId());
            case CacheGroup.StateSpace state -> table;
          });
    }
    return blocks;
  }

  private void requireStates(String side, List<BlockTable> tables) {
    for (int group = 0; group < tables.size(); group++) {
      if (source.model().groups().get(group) instanceof CacheGroup.StateSpace
          && tables.get(group).length() == 0) {
        throw new IllegalArgumentException(
            "the %s's block table of KV-cache group %d is empty, but a state is needed"
                .formatted(side, group));
      }
    }
  }

  private List<Box> boxes(int group, List<Region> regions) {
    return Box.of(regions, source.model().groups().get(group), source.model().element());
  }

  private void requireTables(String side, List<BlockTable> tables) {
    int groups = source.model().groups().size();
    if (tables.size() != groups) {
      throw new IllegalArgumentException(
          "%d block tables for the %s, but the model has %d KV-cache groups"
              .formatted(tables.size(), side, groups));
    }
  }

  private void requireGroups(Rank targetRank) {
    int groups = source.model().groups().size();
    if (targetRank.regions().size() != groups) {
      throw new IncompatibleGeometry(
          "target rank (%d, %d) has regions of %d KV-cache groups, but the model has %d"
              .formatted(
                  targetRank.pipeline(), targetRank.tensor(), targetRank.regions().size(), groups));
    }
  }

  private List<TokenPieces> pieces(
      List<BlockTable> sourceBlocks,
      List<BlockTable> targetBlocks,
      TokenSpan span,
      Rounding rounding) {
    List<TokenPieces> pieces = new ArrayList<>();
    for (int group = 0; group < sourceBlocks.size(); group++) {
      BlockTable from = sourceBlocks.get(group);
      BlockTable to = targetBlocks.get(group);
      pieces.add(
          switch (source.model().groups().get(group)) {
            case CacheGroup.Full full -> tokens(group, from, to, span, span.tokens(), rounding);
            case CacheGroup.SlidingWindow window ->
                tokens(group, from, to, span, window.windowTokens(), rounding);
            case CacheGroup.StateSpace state ->
                span.tokens() == 0 ? new TokenPieces() : new TokenPieces(from, to);
          });
    }
    return pieces;
  }

  private TokenPieces tokens(
      int group, BlockTable from, BlockTable to, TokenSpan span, int needed, Rounding rounding) {
    return new TokenPieces(
        group,
        new TokenPieces.Side("source", from, source.blockSize()),
        new TokenPieces.Side("target", to, target.blockSize()),
        span,
        needed,
        rounding);
  }

  /** The tail of each group, as a plan of the destination onto itself. */
  private Tail tail(List<List<Box>> wanted, List<BlockTable> targetBlocks, TokenSpan span) {
    List<TokenPieces> pieces = new ArrayList<>();
    List<Bundle> bundles = new ArrayList<>();
    int[] everyHead = new int[source.model().kvHeads()];
    for (int group = 0; group < wanted.size(); group++) {
      if (source.model().groups().get(group) instanceof CacheGroup.StateSpace) {
        pieces.add(new TokenPieces());
        continue;
      }
      var side = new TokenPieces.Side("target", targetBlocks.get(group), target.blockSize());
      int end = span.tokens() == 0 ? span.to() : Math.toIntExact(side.roundUp(span.to()));
      TokenSpan rest = new TokenSpan(span.to(), end);
      pieces.add(new TokenPieces(group, side, side, rest, rest.tokens(), Rounding.EXACT));
      if (rest.tokens() > 0) {
        List<Box> boxes = wanted.get(group);
        bundles.addAll(new Matching(group, boxes).bundles(boxes, everyHead, 0));
      }
    }
    return new Tail(bundles, pieces);
  }

  /** The making of one plan's reads. */
  private final class Planning {
    private final Rank targetRank;
    private final List<TokenPieces> pieces;
    private final List<List<Box>> wanted;
    private final long[] foundBytes;
    private final int preferred;
    private final List<SourceRead> reads = new ArrayList<>();

    Planning(Rank targetRank, List<TokenPieces> pieces) {
      this.targetRank = targetRank;
      this.pieces = pieces;
      wanted = new ArrayList<>();
      for (int group = 0; group < targetRank.regions().size(); group++) {
        wanted.add(boxes(group, targetRank.regions().get(group)));
      }
      foundBytes = new long[wanted.size()];
      long ranks = source.parallelism().tensor();
      preferred = (int) (targetRank.tensor() * ranks / target.parallelism().tensor());
    }

    List<SourceRead> reads() {
      for (int group = 0; group < wanted.size(); group++) {
        pieces.get(group).requireTargetBlocksIn(wanted.get(group));
      }
      for (int stage = 0; stage < source.parallelism().pipeline(); stage++) {
        addStage(stage);
      }
      requireAllFound();
      return reads;
    }

    private void addStage(int stage) {
      int ranks = source.parallelism().tensor();
      List<List<Bundle>> bundles = new ArrayList<>();
      for (int tensor = 0; tensor < ranks; tensor++) {
        bundles.add(new ArrayList<>());
      }
      for (int group = 0; group < wanted.size(); group++) {
        List<List<Box>> held = new ArrayList<>();
        for (int tensor = 0; tensor < ranks; tensor++) {
          held.add(boxes(group, source.rank(stage, tensor).regions().get(group)));
        }
        int[] serving = Matching.serving(held, shards(group), preferred);
        for (int tensor = 0; tensor < ranks; tensor++) {
          bundles.get(tensor).addAll(match(group, held.get(tensor), serving, tensor));
        }
      }
      for (int tensor = 0; tensor < ranks; tensor++) {
        if (!bundles.get(tensor).isEmpty()) {
          reads.add(new SourceRead(source.rank(stage, tensor), bundles.get(tensor), pieces));
        }
      }
    }

    /** What one rank gives of a group; nothing if no token of it moves. */
    private List<Bundle> match(int group, List<Box> held, int[] serving, int tensor) {
      List<Bundle> bundles = new Matching(group, held).bundles(wanted.get(group), serving, tensor);
      if (bundles.isEmpty()) {
        return bundles;
      }
      pieces.get(group).requireSourceBlocksIn(held);
      for (Bundle bundle : bundles) {
        foundBytes[group] += bundle.bytesPerToken();
      }
      return pieces.get(group).size() == 0 ? List.of() : bundles;
    }

    /** What tensor parallelism deals out in a group. */
    private int shards(int group) {
      return switch (source.model().groups().get(group)) {
        case CacheGroup.Full full -> source.model().kvHeads();
        case CacheGroup.SlidingWindow window -> source.model().kvHeads();
        case CacheGroup.StateSpace(List<Integer> layers, StateShape state) -> state.channels();
      };
    }

    private void requireAllFound() {
      for (int group = 0; group < wanted.size(); group++) {
        long bytes = wanted.get(group).stream().mapToLong(Box::bytesPerToken).sum();
        if (bytes != foundBytes[group]) {
          throw new IncompatibleGeometry(
              "KV-cache group %d: target rank (%d, %d) keeps %d bytes per %s, the source's ranks have %d of them"
                  .formatted(
                      group,
                      targetRank.pipeline(),
                      targetRank.tensor(),
                      bytes,
                      source.model().groups().get(group) instanceof CacheGroup.StateSpace
                          ? "state"
                          : "token",
                      foundBytes[group]));
        }
      }
    }
  }
}
