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
    List<BlockTable> sourceBlocks = scattered(source, tokens);
    List<BlockTable> targetBlocks = scattered(target, tokens);
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

  private static List<BlockTable> scattered(Geometry geometry, int tokens) {
    List<BlockTable> tables = new ArrayList<>();
    for (CacheGroup group : geometry.model().groups()) {
      int all = Math.ceilDiv(tokens, geometry.tokensPerId());
      int kept =
          switch (group) {
            case CacheGroup.Full full -> all;
            case CacheGroup.SlidingWindow window ->
                Math.min(all, Math.ceilDiv(window.windowTokens(), geometry.tokensPerId()) + 1);
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
