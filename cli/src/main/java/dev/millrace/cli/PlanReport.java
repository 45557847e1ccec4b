package dev.millrace.cli;

import dev.millrace.layout.BlockTable;
import dev.millrace.layout.CacheGroup;
import dev.millrace.layout.Geometry;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.PlanSize;
import dev.millrace.layout.Rank;
import dev.millrace.layout.Rounding;
import dev.millrace.layout.SourceRead;
import dev.millrace.layout.TokenSpan;
import dev.millrace.layout.TransferPlan;
import dev.millrace.layout.TransferPlanner;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * What would move between two engines for one sequence, rank by rank.
 *
 * <p>The block tables are imagined: no two blocks of the sequence are neighbours, as in a pool that
 * has been in use for a while, so that runs end with blocks and the figures are the worst ones.
 *
 * @param planner plans from the prefill to the decode engine
 * @param tokens length of the sequence
 * @param ranks a line per decode rank
 */
record PlanReport(TransferPlanner planner, int tokens, List<RankLine> ranks) {

  /** What one decode rank reads. */
  record RankLine(Rank rank, List<Rank> from, PlanSize size) {}

  static PlanReport of(GeometrySpec prefill, GeometrySpec decode, int tokens, Rounding rounding) {
    Geometry source = withRoomFor(tokens, prefill).geometry();
    Geometry target = withRoomFor(tokens, decode).geometry();
    TransferPlanner planner = new TransferPlanner(source, target);
    List<BlockTable> sourceBlocks = scattered(source, tokens, PlanReport::exported);
    List<BlockTable> targetBlocks = scattered(target, tokens, PlanReport::wanted);
    List<RankLine> lines = new ArrayList<>();
    for (Rank rank : target.ranks()) {
      TransferPlan plan =
          planner.plan(rank, sourceBlocks, targetBlocks, new TokenSpan(0, tokens), rounding);
      List<Rank> from = plan.reads().stream().map(SourceRead::source).toList();
      lines.add(new RankLine(rank, from, plan.size()));
    }
    return new PlanReport(planner, tokens, lines);
  }

  private static GeometrySpec withRoomFor(int tokens, GeometrySpec spec) {
    int ids = 2 * Math.ceilDiv(tokens, spec.blockSize() * spec.blocksPerId()) + 1;
    return new GeometrySpec(
        spec.model(),
        spec.parallelism(),
        spec.blockSize(),
        spec.layout(),
        Math.max(spec.blocks(), ids * spec.blocksPerId()),
        spec.blocksPerId());
  }

  /** How many of the last blocks of a sliding-window group an engine has for a sequence. */
  @FunctionalInterface
  private interface Kept {
    int blocks(CacheGroup.SlidingWindow window, int tokens, int tokensPerBlock);
  }

  /** What a prefill engine hands over (vLLM 0.32.0): as many as a window can touch. */
  private static int exported(CacheGroup.SlidingWindow window, int tokens, int tokensPerBlock) {
    return Math.ceilDiv(window.windowTokens(), tokensPerBlock) + 1;
  }

  /** What a decode engine has blocks for (vLLM 0.32.0): those that this window does touch. */
  private static int wanted(CacheGroup.SlidingWindow window, int tokens, int tokensPerBlock) {
    int before = Math.max(0, tokens - window.windowTokens());
    return Math.ceilDiv(tokens, tokensPerBlock) - before / tokensPerBlock;
  }

  private static List<BlockTable> scattered(Geometry geometry, int tokens, Kept window) {
    List<BlockTable> tables = new ArrayList<>();
    for (CacheGroup group : geometry.model().groups()) {
      int all = Math.ceilDiv(tokens, geometry.tokensPerId());
      int kept =
          switch (group) {
            case CacheGroup.Full full -> all;
            case CacheGroup.SlidingWindow sliding ->
                Math.min(all, window.blocks(sliding, tokens, geometry.tokensPerId()));
            case CacheGroup.StateSpace state -> 1;
          };
      int[] ids = IntStream.range(all - kept, all).map(index -> 2 * index + 1).toArray();
      tables.add(BlockTable.startingAt(all - kept, ids));
    }
    return tables;
  }

  long bytesMoved() {
    return ranks.stream().mapToLong(line -> line.size().bytesMoved()).sum();
  }

  long bytesNeeded() {
    return ranks.stream().mapToLong(line -> line.size().bytesNeeded()).sum();
  }

  long runs() {
    return ranks.stream().mapToLong(line -> line.size().runs()).sum();
  }

  /** A table with a line per decode rank and one for all. */
  String table() {
    Table table =
        new Table(
            "decode rank", "reads from", "runs", "bytes needed", "moved", "shortest run", "median");
    for (RankLine line : ranks) {
      PlanSize size = line.size();
      table.row(
          name(planner.target(), line.rank()),
          line.from().stream()
              .map(rank -> name(planner.source(), rank))
              .collect(Collectors.joining(", ")),
          Long.toString(size.runs()),
          Long.toString(size.bytesNeeded()),
          Long.toString(size.bytesMoved()),
          Long.toString(size.shortestRunBytes()),
          Long.toString(size.medianRunBytes()));
    }
    table.row(
        "all",
        "",
        Long.toString(runs()),
        Long.toString(bytesNeeded()),
        Long.toString(bytesMoved()),
        "",
        "");
    return table.toString();
  }

  private static String name(Geometry geometry, Rank rank) {
    return geometry.parallelism().pipeline() == 1
        ? Integer.toString(rank.tensor())
        : "%d.%d".formatted(rank.pipeline(), rank.tensor());
  }
}
