package dev.millrace.transfer.agent;

import dev.millrace.layout.BlockTable;
import dev.millrace.layout.Geometry;
import dev.millrace.layout.IncompatibleGeometry;
import dev.millrace.layout.Rank;
import dev.millrace.layout.Rounding;
import dev.millrace.layout.TokenSpan;
import dev.millrace.layout.TransferPlan;
import dev.millrace.layout.TransferPlanner;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Plans from one sequence's blocks to another's, for all ranks of the destination.
 *
 * @param from the source's tables, per KV-cache group
 * @param to the destination's
 */
record Plans(TransferPlanner planner, List<BlockTable> from, List<BlockTable> to) {

  Geometry source() {
    return planner.source();
  }

  Geometry target() {
    return planner.target();
  }

  /** One plan per rank of the destination. */
  List<TransferPlan> of(TokenSpan part, Rounding rounding) {
    try {
      List<TransferPlan> plans = new ArrayList<>();
      for (Rank rank : target().ranks()) {
        plans.add(planner.plan(rank, from, to, part, rounding));
      }
      return plans;
    } catch (IllegalArgumentException e) {
      throw new AgentRefusal(Reason.INVALID, "the hand-off: " + e.getMessage());
    } catch (IncompatibleGeometry e) {
      throw new AgentRefusal(Reason.MISMATCH, String.valueOf(e.getMessage()));
    }
  }

  /** The first part's size, scaled to the whole; exact where there is one part. */
  static long expectedBytes(List<TransferPlan> plans, TokenSpan part, TokenSpan whole) {
    long bytes = plans.stream().mapToLong(plan -> plan.size().bytesMoved()).sum();
    return part.tokens() == 0 ? bytes : bytes * whole.tokens() / part.tokens();
  }

  /** Source ranks that are read from. */
  static int sources(List<TransferPlan> plans) {
    return (int)
        plans.stream()
            .flatMap(plan -> plan.reads().stream())
            .map(read -> List.of(read.source().pipeline(), read.source().tensor()))
            .distinct()
            .count();
  }

  /** Ids of the blocks that hold a part; with several groups all, as their parts are not apart. */
  static Set<Integer> blocksOf(List<BlockTable> tables, TokenSpan part, int tokensPerId) {
    Set<Integer> ids = new HashSet<>();
    for (BlockTable table : tables) {
      for (int i = 0; i < table.length(); i++) {
        long first = (long) (table.firstBlock() + i) * tokensPerId;
        if (tables.size() > 1 || (first < part.to() && first + tokensPerId > part.from())) {
          ids.add(table.id(i));
        }
      }
    }
    return ids;
  }
}
