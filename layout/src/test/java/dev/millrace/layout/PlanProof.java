package dev.millrace.layout;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.NaiveEngine.Place;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;

/** Executes a plan by plain copies and compares with the naive engines, element by element. */
final class PlanProof {
  private final NaiveEngine source;
  private final NaiveEngine target;
  private final List<BlockTable> sourceBlocks;
  private final List<BlockTable> targetBlocks;

  PlanProof(
      GeometrySpec source,
      GeometrySpec target,
      List<BlockTable> sourceBlocks,
      List<BlockTable> targetBlocks) {
    Random random = new Random(20261121);
    // The second address range lies across the sign bit: addresses are unsigned.
    this.source = new NaiveEngine(source, 0x7f00_0000_1000L, random);
    this.target = new NaiveEngine(target, Long.MAX_VALUE - 4095, random);
    this.sourceBlocks = sourceBlocks;
    this.targetBlocks = targetBlocks;
    this.source.fill(sourceBlocks);
  }

  NaiveEngine source() {
    return source;
  }

  NaiveEngine target() {
    return target;
  }

  TransferPlan plan(int pipeline, int tensor, TokenSpan span, Rounding rounding) {
    return new TransferPlanner(source.geometry(), target.geometry())
        .plan(target.geometry().rank(pipeline, tensor), sourceBlocks, targetBlocks, span, rounding);
  }

  /** Plans, executes and checks every rank of the target. */
  void prove(TokenSpan span, Rounding rounding) {
    for (int p = 0; p < target.spec().parallelism().pipeline(); p++) {
      for (int t = 0; t < target.spec().parallelism().tensor(); t++) {
        TransferPlan plan = plan(p, t, span, rounding);
        long moved = execute(plan);
        checkTokensOfSpan(p, t, span);
        long needed = countTokensOfSpan(p, t, span);
        checkSize(plan, needed, moved);
        if (rounding == Rounding.EXACT) {
          assertThat(moved).isEqualTo(needed);
        }
        zero(plan);
        checkTail(p, t, span);
      }
    }
    checkNothingElse();
  }

  /** Copies, counting writes; returns the bytes. */
  long execute(TransferPlan plan) {
    Set<String> ranks = new HashSet<>();
    long moved = 0;
    for (SourceRead read : plan.reads()) {
      Rank rank = read.source();
      assertThat(ranks.add(rank.pipeline() + "/" + rank.tensor())).isTrue();
      long before = moved;
      for (RunCursor run = read.cursor(); run.next(); ) {
        int length = Math.toIntExact(run.bytes());
        Place from = source.resolve(run.sourceAddress(), length);
        Place to = target.resolve(run.targetAddress(), length);
        requireOwner(rank, run.sourceAddress());
        System.arraycopy(
            from.memory().contents, from.index(), to.memory().contents, to.index(), length);
        for (int i = 0; i < length; i++) {
          to.memory().writes[to.index() + i]++;
        }
        moved += length;
      }
      assertThat(moved).as("a read with nothing to read").isGreaterThan(before);
      assertThat(bytes(read)).as("second walk").isEqualTo(moved - before);
      requireSameBytes(read);
    }
    return moved;
  }

  /** The nests move what the runs move. */
  private static void requireSameBytes(SourceRead read) {
    Map<Long, Long> sourceOfTarget = new HashMap<>();
    for (RunCursor run = read.cursor(); run.next(); ) {
      for (long i = 0; i < run.bytes(); i++) {
        sourceOfTarget.put(run.targetAddress() + i, run.sourceAddress() + i);
      }
    }
    for (NestCursor nest = read.nests(); nest.next(); ) {
      requireRows(nest, nest.axes(), nest.sourceAddress(), nest.targetAddress(), sourceOfTarget);
    }
    assertThat(sourceOfTarget).as("moved by runs and not by nests").isEmpty();
  }

  private static void requireRows(
      NestCursor nest, int axes, long source, long target, Map<Long, Long> sourceOfTarget) {
    if (axes == 0) {
      for (long i = 0; i < nest.rowBytes(); i++) {
        if (!Objects.equals(sourceOfTarget.remove(target + i), source + i)) {
          throw new AssertionError("the nests move something else, or twice");
        }
      }
      return;
    }
    for (long i = 0; i < nest.extent(axes - 1); i++) {
      requireRows(
          nest,
          axes - 1,
          source + i * nest.sourceStride(axes - 1),
          target + i * nest.targetStride(axes - 1),
          sourceOfTarget);
    }
  }

  private static long bytes(Runs runs) {
    long bytes = 0;
    for (RunCursor run = runs.cursor(); run.next(); ) {
      bytes += run.bytes();
    }
    return bytes;
  }

  private static void requireOwner(Rank rank, long address) {
    for (List<Region> group : rank.regions()) {
      for (Region region : group) {
        long size = region.blocks() * region.blockStrideBytes();
        if (address - region.baseAddress() >= 0 && address - region.baseAddress() < size) {
          return;
        }
      }
    }
    throw new AssertionError("address is not of rank " + rank.pipeline() + "/" + rank.tensor());
  }

  private void checkTokensOfSpan(int pipeline, int tensor, TokenSpan span) {
    for (int group = 0; group < targetBlocks.size(); group++) {
      BlockTable theirs = sourceBlocks.get(group);
      target.visit(
          pipeline,
          tensor,
          group,
          targetBlocks.get(group),
          span.from(),
          span.to(),
          (element, place) -> {
            boolean planned = source.has(theirs, element);
            long found = place.content();
            int writes = place.writes();
            long expected = planned ? element.id() : NaiveEngine.UNTOUCHED;
            if (found != expected || writes != (planned ? 1 : 0)) {
              throw new AssertionError(
                  "%s of rank (%d, %d): found id %d, written %d times, expected id %d"
                      .formatted(element, pipeline, tensor, found, writes, expected));
            }
            place.set(NaiveEngine.UNTOUCHED);
          });
    }
  }

  private long countTokensOfSpan(int pipeline, int tensor, TokenSpan span) {
    long[] bytes = new long[1];
    for (int group = 0; group < targetBlocks.size(); group++) {
      BlockTable theirs = sourceBlocks.get(group);
      target.visit(
          pipeline,
          tensor,
          group,
          targetBlocks.get(group),
          span.from(),
          span.to(),
          (element, place) -> {
            if (source.has(theirs, element)) {
              bytes[0]++;
            }
          });
    }
    return bytes[0];
  }

  /** Zeroes what the plan says, each byte once. */
  private void zero(TransferPlan plan) {
    long bytes = 0;
    for (ZeroCursor zero = plan.tail().cursor(); zero.next(); ) {
      int length = Math.toIntExact(zero.bytes());
      Place place = target.resolve(zero.targetAddress(), length);
      for (int i = 0; i < length; i++) {
        Place zeroed = new Place(place.memory(), place.index() + i);
        assertThat(zeroed.writes()).as("written before it is zeroed").isBetween(0, 1);
        assertThat(zeroed.content()).as("zeroed twice").isNotEqualTo(NaiveEngine.ZERO);
        zeroed.set(NaiveEngine.ZERO);
      }
      bytes += length;
    }
    assertThat(plan.tail().bytes()).isEqualTo(bytes);
    assertThat(plan.tail().isEmpty()).isEqualTo(bytes == 0);
  }

  private void checkTail(int pipeline, int tensor, TokenSpan span) {
    int block = target.spec().blockSize();
    long end = span.tokens() == 0 ? span.to() : Math.ceilDiv(span.to(), block) * (long) block;
    for (int group = 0; group < targetBlocks.size(); group++) {
      if (target.spec().model().groups().get(group) instanceof CacheGroup.StateSpace) {
        continue;
      }
      target.visit(
          pipeline,
          tensor,
          group,
          targetBlocks.get(group),
          span.to(),
          end,
          (element, place) -> {
            assertThat(place.content()).as("%s", element).isEqualTo(NaiveEngine.ZERO);
            place.set(NaiveEngine.UNTOUCHED);
          });
    }
  }

  /** What was checked was wiped; so all must be untouched now. */
  private void checkNothingElse() {
    for (long[] memory : target.contents()) {
      for (long word : memory) {
        if (word != NaiveEngine.UNTOUCHED) {
          throw new AssertionError("something else was written: " + word);
        }
      }
    }
  }

  private static void checkSize(TransferPlan plan, long needed, long moved) {
    TreeMap<Long, Integer> lengths = new TreeMap<>();
    int runs = 0;
    for (SourceRead read : plan.reads()) {
      for (RunCursor run = read.cursor(); run.next(); runs++) {
        lengths.merge(run.bytes(), 1, Integer::sum);
      }
    }
    long median = 0;
    int seen = 0;
    for (var entry : lengths.entrySet()) {
      seen += entry.getValue();
      if (2 * seen >= runs) {
        median = entry.getKey();
        break;
      }
    }
    long shortest = lengths.isEmpty() ? 0 : lengths.firstKey();
    assertThat(plan.size())
        .isEqualTo(new PlanSize(needed, moved, runs, plan.reads().size(), shortest, median));
  }
}
