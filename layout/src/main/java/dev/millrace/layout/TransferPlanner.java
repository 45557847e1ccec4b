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
 * NHD, cross-layer blocks, transposed K: all of it follows, none of it is a case of its own.
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
   *     tensor or pipeline parallelism, block size or layout); also for what cannot be planned yet:
   *     state-space groups and decode context parallelism
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
   * sides, a sliding-window group the last {@code windowTokens} of it.
   *
   * @param targetRank a rank of the target geometry, or one of its shape at other addresses
   * @param sourceBlocks the source's block table, per KV-cache group
   * @param targetBlocks the destination's block table, per KV-cache group
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
    List<List<Box>> wanted = targetRank.regions().stream().map(Box::of).toList();
    List<TokenPieces> pieces = pieces(sourceBlocks, targetBlocks, span, rounding);
    List<SourceRead> reads = reads(targetRank, wanted, pieces);
    for (int group = 0; group < wanted.size(); group++) {
      pieces.get(group).requireTargetBlocksIn(wanted.get(group));
    }
    return new TransferPlan(reads, tail(wanted, targetBlocks, span));
  }

  private void requireTables(String side, List<BlockTable> tables) {
    int groups = source.model().groups().size();
    if (tables.size() != groups) {
      throw new IllegalArgumentException(
          "%d block tables for the %s, but the model has %d KV-cache groups"
              .formatted(tables.size(), side, groups));
    }
  }

  private List<TokenPieces> pieces(
      List<BlockTable> sourceBlocks,
      List<BlockTable> targetBlocks,
      TokenSpan span,
      Rounding rounding) {
    List<TokenPieces> pieces = new ArrayList<>();
    for (int group = 0; group < sourceBlocks.size(); group++) {
      int needed =
          switch (source.model().groups().get(group)) {
            case CacheGroup.Full full -> span.tokens();
            case CacheGroup.SlidingWindow window -> window.windowTokens();
            case CacheGroup.StateSpace state -> throw new AssertionError(state);
          };
      pieces.add(
          new TokenPieces(
              group,
              new TokenPieces.Side("source", sourceBlocks.get(group), source.blockSize()),
              new TokenPieces.Side("target", targetBlocks.get(group), target.blockSize()),
              span,
              needed,
              rounding));
    }
    return pieces;
  }

  private List<SourceRead> reads(
      Rank targetRank, List<List<Box>> wanted, List<TokenPieces> pieces) {
    int ranks = source.parallelism().tensor();
    int preferred = (int) ((long) targetRank.tensor() * ranks / target.parallelism().tensor());
    long[] found = new long[wanted.size()];
    List<SourceRead> reads = new ArrayList<>();
    for (int stage = 0; stage < source.parallelism().pipeline(); stage++) {
      List<List<List<Box>>> held = heldByStage(stage, wanted.size());
      List<int[]> serving =
          held.stream()
              .map(group -> Matching.serving(group, source.model().kvHeads(), preferred))
              .toList();
      for (int tensor = 0; tensor < ranks; tensor++) {
        List<Bundle> bundles = new ArrayList<>();
        for (int group = 0; group < wanted.size(); group++) {
          List<Box> boxes = held.get(group).get(tensor);
          List<Bundle> matched =
              new Matching(group, source.model().element().bytes(), boxes)
                  .bundles(wanted.get(group), serving.get(group), tensor);
          if (!matched.isEmpty()) {
            pieces.get(group).requireSourceBlocksIn(boxes);
          }
          for (Bundle bundle : matched) {
            found[group] += bundle.bytesPerToken();
            if (pieces.get(group).size() > 0) {
              bundles.add(bundle);
            }
          }
        }
        if (!bundles.isEmpty()) {
          reads.add(new SourceRead(source.rank(stage, tensor), bundles, pieces));
        }
      }
    }
    requireAllFound(targetRank, wanted, found);
    return reads;
  }

  /** Per group and tensor rank, what the ranks of a pipeline stage hold. */
  private List<List<List<Box>>> heldByStage(int stage, int groups) {
    List<List<List<Box>>> held = new ArrayList<>();
    for (int group = 0; group < groups; group++) {
      List<List<Box>> ranks = new ArrayList<>();
      for (int tensor = 0; tensor < source.parallelism().tensor(); tensor++) {
        ranks.add(Box.of(source.rank(stage, tensor).regions().get(group)));
      }
      held.add(ranks);
    }
    return held;
  }

  private void requireAllFound(Rank targetRank, List<List<Box>> wanted, long[] found) {
    for (int group = 0; group < wanted.size(); group++) {
      long bytes = 0;
      for (Box box : wanted.get(group)) {
        bytes += box.elementsPerToken() * source.model().element().bytes();
      }
      if (bytes != found[group]) {
        throw new IncompatibleGeometry(
            "KV-cache group %d: target rank (%d, %d) keeps %d bytes per token, the source's ranks have %d of them"
                .formatted(group, targetRank.pipeline(), targetRank.tensor(), bytes, found[group]));
      }
    }
  }

  /** The tail of each group, as a plan of the destination onto itself. */
  private Tail tail(List<List<Box>> wanted, List<BlockTable> targetBlocks, TokenSpan span) {
    List<TokenPieces> pieces = new ArrayList<>();
    List<Bundle> bundles = new ArrayList<>();
    int[] everyHead = new int[source.model().kvHeads()];
    for (int group = 0; group < wanted.size(); group++) {
      var side = new TokenPieces.Side("target", targetBlocks.get(group), target.blockSize());
      int end = span.tokens() == 0 ? span.to() : Math.toIntExact(side.roundUp(span.to()));
      TokenSpan rest = new TokenSpan(span.to(), end);
      pieces.add(new TokenPieces(group, side, side, rest, rest.tokens(), Rounding.EXACT));
      if (rest.tokens() > 0) {
        List<Box> boxes = wanted.get(group);
        bundles.addAll(
            new Matching(group, source.model().element().bytes(), boxes)
                .bundles(boxes, everyHead, 0));
      }
    }
    return new Tail(bundles, pieces);
  }
}
