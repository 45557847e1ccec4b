package dev.millrace.layout;

import java.util.ArrayList;
import java.util.List;

/** Short ways to plan something, for tests. */
final class Plans {
  private Plans() {}

  /** A run with its numbers, as tests like to compare it. */
  record Run(long source, long target, long bytes) {}

  static TransferPlanner planner(String source, String target) {
    return new TransferPlanner(
        GeometryText.parse(source).geometry(), GeometryText.parse(target).geometry());
  }

  static TransferPlan plan(
      TransferPlanner planner, int tensor, BlockTable source, BlockTable target, int tokens) {
    return planner.plan(
        planner.target().rank(0, tensor),
        List.of(source),
        List.of(target),
        new TokenSpan(0, tokens),
        Rounding.EXACT);
  }

  static List<Run> runs(Runs runs) {
    List<Run> list = new ArrayList<>();
    for (RunCursor run = runs.cursor(); run.next(); ) {
      list.add(new Run(run.sourceAddress(), run.targetAddress(), run.bytes()));
    }
    return list;
  }

  static List<Run> zeros(Tail tail) {
    List<Run> list = new ArrayList<>();
    for (ZeroCursor zero = tail.cursor(); zero.next(); ) {
      list.add(new Run(0, zero.targetAddress(), zero.bytes()));
    }
    return list;
  }

  static List<Integer> sources(TransferPlan plan) {
    return plan.reads().stream().map(read -> read.source().tensor()).toList();
  }
}
