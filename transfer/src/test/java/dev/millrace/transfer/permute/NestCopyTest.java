package dev.millrace.transfer.permute;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.layout.BlockTable;
import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.NestCursor;
import dev.millrace.layout.Parallelism;
import dev.millrace.layout.Rank;
import dev.millrace.layout.Rounding;
import dev.millrace.layout.TokenSpan;
import dev.millrace.layout.TransferPlanner;
import dev.millrace.transfer.Pattern;
import dev.millrace.transfer.agent.Elements;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

class NestCopyTest {
  private static final byte BLANK = (byte) 0xee;

  /** One side's own choices. */
  record Side(int tensor, int blockSize, Layout layout) {}

  record Scenario(ModelShape model, Side source, Side target, TokenSpan span, long seed) {
    GeometrySpec spec(Side side) {
      return new GeometrySpec(
          model,
          Parallelism.tensor(side.tensor()),
          side.blockSize(),
          side.layout(),
          Math.ceilDiv(span.to(), side.blockSize()) + 1);
    }

    BlockTable table(Side side, Random random) {
      int blocks = Math.ceilDiv(span.to(), side.blockSize());
      List<Integer> ids = new ArrayList<>(IntStream.range(0, blocks + 1).boxed().toList());
      Collections.shuffle(ids, random);
      return BlockTable.of(ids.stream().limit(blocks).mapToInt(Integer::intValue).toArray());
    }
  }

  /** Every element of the span arrives at every rank that keeps it, and no byte beside them. */
  @Property(tries = 300)
  void copy_ofAnyPair_isWhatANaiveCopyMakes(@ForAll("scenarios") Scenario scenario) {
    try (Arena arena = Arena.ofShared()) {
      LaidOut source = LaidOut.of(arena, scenario.spec(scenario.source()));
      LaidOut target = LaidOut.of(arena, scenario.spec(scenario.target()));
      source.memory().copyFrom(Pattern.memory(arena, source.memory().byteSize(), scenario.seed()));
      target.memory().fill(BLANK);
      Random random = new Random(scenario.seed());
      BlockTable from = scenario.table(scenario.source(), random);
      BlockTable to = scenario.table(scenario.target(), random);
      List<NestCursor> nests = new ArrayList<>();
      TransferPlanner planner = new TransferPlanner(source.geometry(), target.geometry());
      for (Rank rank : target.geometry().ranks()) {
        planner
            .plan(rank, List.of(from), List.of(to), scenario.span(), Rounding.EXACT)
            .reads()
            .forEach(read -> nests.add(read.nests()));
      }

      long copied = new NestCopy(source.memory(), target.memory()).copy(nests);

      Elements there = new Elements(source.geometry(), from, rank -> source.memory());
      Elements here = new Elements(target.geometry(), to, rank -> target.memory());
      requireEqual(scenario, there, here);
      assertThat(copied).isEqualTo(untouched(arena, scenario, target, to));
    }
  }

  private static void requireEqual(Scenario scenario, Elements there, Elements here) {
    ModelShape model = scenario.model();
    for (int token = scenario.span().from(); token < scenario.span().to(); token++) {
      for (int layer = 0; layer < model.layers(); layer++) {
        for (int kv = 0; kv < model.kvParts(); kv++) {
          for (int head = 0; head < model.kvHeads(); head++) {
            for (int dim = 0; dim < model.headSize(); dim++) {
              long expected = there.all(layer, kv, head, token, dim).getFirst();
              for (long found : here.all(layer, kv, head, token, dim)) {
                if (found != expected) {
                  throw new AssertionError(
                      "token %d, layer %d, kv %d, head %d, dim %d differs"
                          .formatted(token, layer, kv, head, dim));
                }
              }
            }
          }
        }
      }
    }
  }

  /**
   * Bytes of the target's span, after a look that all others are blank: those of a plan onto
   * itself.
   */
  private static long untouched(Arena arena, Scenario scenario, LaidOut target, BlockTable to) {
    MemorySegment blank = arena.allocate(target.memory().byteSize());
    blank.fill(BLANK);
    List<NestCursor> own = new ArrayList<>();
    TransferPlanner onto = new TransferPlanner(target.geometry(), target.geometry());
    LaidOut elsewhere = LaidOut.of(arena, scenario.spec(scenario.target()));
    elsewhere.memory().fill(BLANK);
    long bytes = 0;
    for (Rank rank : target.geometry().ranks()) {
      bytes +=
          onto.plan(rank, List.of(to), List.of(to), scenario.span(), Rounding.EXACT)
              .size()
              .bytesMoved();
      new TransferPlanner(elsewhere.geometry(), target.geometry())
          .plan(rank, List.of(to), List.of(to), scenario.span(), Rounding.EXACT)
          .reads()
          .forEach(read -> own.add(read.nests()));
    }
    long _ = new NestCopy(elsewhere.memory(), target.memory()).copy(own);
    assertThat(target.memory().mismatch(blank)).as("a byte beside the span").isEqualTo(-1);
    return bytes;
  }

  @Provide
  Arbitrary<Scenario> scenarios() {
    Arbitrary<ElementType> elements =
        Arbitraries.of(ElementType.FLOAT32, ElementType.BFLOAT16, ElementType.FLOAT8_E4M3);
    Arbitrary<Integer> heads = Arbitraries.of(1, 2, 4);
    Arbitrary<Integer> headSizes = Arbitraries.integers().between(1, 19);
    Arbitrary<ModelShape> dense =
        Combinators.combine(Arbitraries.integers().between(1, 3), heads, headSizes, elements)
            .as(ModelShape::dense);
    Arbitrary<Side> sides =
        Combinators.combine(
                Arbitraries.of(1, 2, 4),
                Arbitraries.oneOf(
                    Arbitraries.of(4, 8, 16, 32), Arbitraries.integers().between(1, 40)),
                Arbitraries.oneOf(
                    Arbitraries.of(Layout.class), Arbitraries.of(Layout.CPU_ATTENTION)))
            .as(Side::new);
    Arbitrary<TokenSpan> spans =
        Combinators.combine(
                Arbitraries.integers().between(0, 20), Arbitraries.integers().between(1, 40))
            .as((from, tokens) -> new TokenSpan(from, from + tokens));
    // Ranks that keep the same head would hold the same; here each has a pattern of its own.
    return Combinators.combine(dense, sides, sides, spans, Arbitraries.longs())
        .as((model, source, target, span, seed) ->
            new Scenario(
                model,
                new Side(
                    Math.min(model.kvHeads(), source.tensor()),
                    source.blockSize(),
                    source.layout()),
                target,
                span,
                seed));
  }

  /** One box: rows of so many bytes from (1, 2, …) into a memory of the given size. */
  private record Box(
      MemorySegment source, MemorySegment target, long rowBytes, int extent, long step) {
    NestCursor cursor() {
      return new NestCursor() {
        private boolean over;

        @Override
        public boolean next() {
          boolean first = !over;
          over = true;
          return first;
        }

        @Override
        public long sourceAddress() {
          return source.address();
        }

        @Override
        public long targetAddress() {
          return target.address();
        }

        @Override
        public long rowBytes() {
          return rowBytes;
        }

        @Override
        public int axes() {
          return 1;
        }

        @Override
        public int extent(int axis) {
          return extent;
        }

        @Override
        public long sourceStride(int axis) {
          return rowBytes;
        }

        @Override
        public long targetStride(int axis) {
          return step;
        }
      };
    }
  }

  @Example
  void copy_ofRowsOfAnyLength_takesEveryByte() {
    try (Arena arena = Arena.ofShared()) {
      for (int rowBytes = 1; rowBytes < 300; rowBytes++) {
        MemorySegment source = Pattern.memory(arena, 3L * rowBytes, rowBytes);
        MemorySegment target = Pattern.blank(arena, 3L * (rowBytes + 5));
        Box box = new Box(source, target, rowBytes, 3, rowBytes + 5);
        assertThat(new NestCopy(source, target).copy(List.of(box.cursor())))
            .isEqualTo(3L * rowBytes);
        for (int row = 0; row < 3; row++) {
          long at = (long) row * (rowBytes + 5);
          assertThat(
                  target
                      .asSlice(at, rowBytes)
                      .mismatch(source.asSlice((long) row * rowBytes, rowBytes)))
              .isEqualTo(-1);
          assertThat(target.asSlice(at + rowBytes, 5).toArray(ValueLayout.JAVA_BYTE))
              .containsOnly(BLANK);
        }
      }
    }
  }

  /** The last row would end a byte behind the memory, on either side. */
  @Example
  void copy_thatLeavesAMemory_isRefusedBeforeItsFirstByte() {
    try (Arena arena = Arena.ofShared()) {
      MemorySegment small = Pattern.memory(arena, 29, 1);
      MemorySegment large = Pattern.blank(arena, 30);
      assertThatThrownBy(() ->
              new NestCopy(small, large).copy(List.of(new Box(small, large, 10, 3, 10).cursor())))
          .isInstanceOf(IndexOutOfBoundsException.class)
          .hasMessageContaining("leaves the source");
      assertThat(large.toArray(ValueLayout.JAVA_BYTE)).containsOnly(BLANK);
      assertThatThrownBy(() ->
              new NestCopy(large, small).copy(List.of(new Box(large, small, 10, 3, 10).cursor())))
          .isInstanceOf(IndexOutOfBoundsException.class)
          .hasMessageContaining("leaves the destination");
      assertThatThrownBy(() ->
              new NestCopy(large.asSlice(1), large)
                  .copy(List.of(new Box(large, large, 10, 2, 10).cursor())))
          .isInstanceOf(IndexOutOfBoundsException.class);
    }
  }

  @Example
  void copy_ofTheHeap_isRefused() {
    MemorySegment heap = MemorySegment.ofArray(new byte[8]);
    assertThatThrownBy(() -> new NestCopy(heap, heap)).isInstanceOf(IllegalArgumentException.class);
  }
}
