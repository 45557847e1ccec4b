package dev.millrace.layout;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.layout.Plans.Run;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TransferPlannerTest {

  @Nested
  class Shapes {
    @ParameterizedTest
    @CsvSource(
        delimiter = '|',
        value = {
          "heads=8 | heads=4 | KV heads: source 8, target 4",
          "head-size=64 | head-size=128 | head size: source 64, target 128",
          "dtype=bf16 | dtype=fp8_e4m3 | element type: source bf16, target fp8_e4m3",
          "heads=1,head-size=576 | latent=576 | K/V parts: source 2 (K and V), target 1 (joint latent)",
          "layers=4 | layers=4,window=9 | number of KV-cache groups: source 1, target 2",
          "layers=4,window=8 | layers=4,window=9 | kind of KV-cache group 0: source sliding window of 8 tokens, target sliding window of 9 tokens",
          "layers=2 | layers=3 | layers of KV-cache group 0: source 2, target 3",
        })
    void planner_whenShapesDiffer_namesBothValues(String source, String target, String message) {
      assertThatThrownBy(() -> Plans.planner(source, target))
          .isInstanceOf(IncompatibleGeometry.class)
          .hasMessage("no transfer can be planned: " + message);
    }

    @Test
    void planner_whenLayersAreNumberedDifferently_namesThem() {
      assertThatThrownBy(
              () -> new TransferPlanner(geometry(List.of(0, 1)), geometry(List.of(1, 2))))
          .hasMessage(
              "no transfer can be planned: layer numbers of KV-cache group 0: source [0, 1],"
                  + " target [1, 2]");
    }

    private static Geometry geometry(List<Integer> layers) {
      ModelShape model =
          new ModelShape(1, 1, 2, ElementType.INT8, List.of(new CacheGroup.Full(layers)));
      return new GeometrySpec(model, Parallelism.tensor(1), 16, Layout.HND, 4).geometry();
    }

    @Test
    void planner_whenSeveralValuesDiffer_namesAll() {
      assertThatThrownBy(() -> Plans.planner("heads=8,head-size=64", "heads=4,head-size=32"))
          .hasMessage(
              "no transfer can be planned: KV heads: source 8, target 4; head size: source 64, target 32");
    }

    @Test
    void planner_whenOnlyTheCutDiffers_isContent() {
      assertThatCode(() ->
              Plans.planner(
                  "tp=8,pp=2,block=64,layout=nhd,blocks=9", "tp=1,block=16,layout=cross-layer"))
          .doesNotThrowAnyException();
    }

    @Test
    void planner_forDecodeContextParallelism_refusesByName() {
      assertThatThrownBy(() -> Plans.planner("tp=2,dcp=2,mla=true", "mla=true"))
          .isInstanceOf(IncompatibleGeometry.class)
          .hasMessage(
              "no transfer can be planned: the source uses decode context parallelism (size 2), which cannot be planned yet");
    }

    @Test
    void planner_ofATargetThatCannotBePlanned_namesTheTarget() {
      assertThatThrownBy(() -> Plans.planner("mla=true", "tp=2,dcp=2,mla=true"))
          .hasMessage(
              "no transfer can be planned: the target uses decode context parallelism (size 2),"
                  + " which cannot be planned yet");
    }

    @Test
    void planner_forStatesThatDiffer_namesBoth() {
      assertThatThrownBy(
              () -> new TransferPlanner(hybrid(ElementType.BFLOAT16), hybrid(ElementType.FLOAT32)))
          .isInstanceOf(IncompatibleGeometry.class)
          .hasMessage(
              "no transfer can be planned: state of KV-cache group 1: source x 8 x 3 bf16 + temporal 8 x 4 bf16,"
                  + " target x 8 x 3 bf16 + temporal 8 x 4 fp32");
    }

    private static Geometry hybrid(ElementType temporal) {
      StateShape state =
          StateShape.mamba1(8, 4, new StateShape.Convolution(3, ElementType.BFLOAT16), temporal);
      ModelShape model =
          new ModelShape(
              2,
              8,
              2,
              ElementType.BFLOAT16,
              List.of(
                  new CacheGroup.Full(List.of(0)), new CacheGroup.StateSpace(List.of(1), state)));
      return new GeometrySpec(model, Parallelism.tensor(1), 16, Layout.HND, 4).geometry();
    }

    @Test
    void plan_withoutAStatesTable_isRefused() {
      Geometry geometry = hybrid(ElementType.FLOAT32);
      TransferPlanner planner = new TransferPlanner(geometry, geometry);
      List<BlockTable> without = List.of(BlockTable.of(1), BlockTable.of());
      List<BlockTable> with = List.of(BlockTable.of(1), BlockTable.of(2));
      assertThatIllegalArgumentException()
          .isThrownBy(() ->
              planner.plan(geometry.rank(0, 0), without, with, new TokenSpan(0, 5), Rounding.EXACT))
          .withMessage(
              "the source's block table of KV-cache group 1 is empty, but a state is needed");
      assertThatCode(() ->
              planner.plan(geometry.rank(0, 0), without, with, new TokenSpan(5, 5), Rounding.EXACT))
          .doesNotThrowAnyException();
    }
  }

  @Nested
  class Tables {
    private final TransferPlanner planner =
        Plans.planner("layers=1,blocks=10", "layers=1,blocks=20,block=32");

    private void plan(BlockTable source, BlockTable target, TokenSpan span) {
      planner.plan(
          planner.target().rank(0, 0),
          List.of(source),
          List.of(target),
          span,
          Rounding.WHOLE_BLOCKS);
    }

    @Test
    void plan_whenSourceTableEndsEarly_saysWhichTokensAreMissing() {
      assertThatIllegalArgumentException()
          .isThrownBy(() -> plan(BlockTable.of(1, 2), BlockTable.of(1, 2), new TokenSpan(0, 33)))
          .withMessage(
              "the source's block table of KV-cache group 0 has tokens [0, 32) (2 blocks of 16"
                  + " tokens, from block 0 of the sequence on), but tokens [0, 33) are needed");
    }

    @Test
    void plan_whenTargetTableStartsLate_saysWhichTokensAreMissing() {
      assertThatIllegalArgumentException()
          .isThrownBy(() ->
              plan(BlockTable.of(1, 2, 3), BlockTable.startingAt(1, 2), new TokenSpan(31, 40)))
          .withMessageStartingWith(
              "the target's block table of KV-cache group 0 has tokens [32, 64)")
          .withMessageEndingWith("but tokens [31, 40) are needed");
    }

    @Test
    void plan_whenASlidingWindowIsNotCovered_isRefused() {
      TransferPlanner windowed = Plans.planner("layers=2,window=20", "layers=2,window=20");
      List<BlockTable> blocks = List.of(BlockTable.startingAt(2, 5), BlockTable.of(1, 2, 3));
      Rank rank = windowed.target().rank(0, 0);
      assertThatIllegalArgumentException()
          .isThrownBy(
              () -> windowed.plan(rank, blocks, blocks, new TokenSpan(0, 48), Rounding.EXACT))
          .withMessageEndingWith("but tokens [28, 48) are needed");
      assertThatCode(
              () -> windowed.plan(rank, blocks, blocks, new TokenSpan(32, 48), Rounding.EXACT))
          .doesNotThrowAnyException();
    }

    @ParameterizedTest
    @CsvSource({"10", "-1"})
    void plan_whenASourceBlockIsOutOfRange_namesIdAndLimit(int id) {
      assertThatIllegalArgumentException()
          .isThrownBy(() -> plan(BlockTable.of(1, id), BlockTable.of(1), new TokenSpan(0, 32)))
          .withMessage(
              "the source's block table names block %d, but region model.layers.0.self_attn.attn"
                  + " has 10 blocks, 0 to 9",
              id);
    }

    @Test
    void plan_whenATargetBlockIsOutOfRange_namesIdAndLimit() {
      assertThatIllegalArgumentException()
          .isThrownBy(() -> plan(BlockTable.of(9), BlockTable.of(20), new TokenSpan(0, 3)))
          .withMessage(
              "the target's block table names block 20, but region model.layers.0.self_attn.attn"
                  + " has 20 blocks, 0 to 19");
    }

    /** The regions of a rank need not have equally many blocks; the smallest is the limit. */
    @Test
    void plan_whenOneRegionHasFewerBlocks_goesByThatOne() {
      GeometrySpec spec = GeometryText.parse("layers=3,blocks=10");
      Geometry whole = spec.geometry();
      List<Region> regions = new ArrayList<>(whole.rank(0, 0).regions().getFirst());
      Region second = regions.get(1);
      regions.set(
          1,
          new Region("small", second.baseAddress(), 6, second.blockStrideBytes(), second.axes()));
      Rank rank = new Rank(0, 0, List.of(regions));
      Geometry uneven =
          new Geometry(whole.model(), whole.parallelism(), 16, whole.layout(), List.of(rank));
      TransferPlanner unevenPlanner = new TransferPlanner(uneven, whole);
      assertThatCode(() -> Plans.plan(unevenPlanner, 0, BlockTable.of(5), BlockTable.of(9), 16))
          .doesNotThrowAnyException();
      assertThatIllegalArgumentException()
          .isThrownBy(() -> Plans.plan(unevenPlanner, 0, BlockTable.of(6), BlockTable.of(9), 16))
          .withMessageEndingWith("names block 6, but region small has 6 blocks, 0 to 5");
    }

    @Test
    void plan_whenATableHasMoreThanTheSpan_looksAtTheSpanOnly() {
      assertThatCode(
              () -> plan(BlockTable.of(99, 9, 99), BlockTable.of(19, 99), new TokenSpan(16, 32)))
          .doesNotThrowAnyException();
    }

    @Test
    void plan_withTheWrongNumberOfTables_isRefused() {
      Rank rank = planner.target().rank(0, 0);
      List<BlockTable> one = List.of(BlockTable.of(1));
      TokenSpan span = new TokenSpan(0, 1);
      assertThatIllegalArgumentException()
          .isThrownBy(() -> planner.plan(rank, List.of(), one, span, Rounding.EXACT))
          .withMessage("0 block tables for the source, but the model has 1 KV-cache groups");
      assertThatIllegalArgumentException()
          .isThrownBy(() -> planner.plan(rank, one, List.of(), span, Rounding.EXACT))
          .withMessage("0 block tables for the target, but the model has 1 KV-cache groups");
    }

    @Test
    void plan_ofAnEmptySpan_isEmpty() {
      TransferPlan plan =
          planner.plan(
              planner.target().rank(0, 0),
              List.of(BlockTable.of()),
              List.of(BlockTable.of()),
              new TokenSpan(40, 40),
              Rounding.WHOLE_BLOCKS);
      assertThat(plan.reads()).isEmpty();
      assertThat(plan.tail().isEmpty()).isTrue();
      assertThat(plan.size()).isEqualTo(new PlanSize(0, 0, 0, 0, 0, 0));
    }
  }

  /** A block of one side holds the tokens of several of the other. */
  @Nested
  class Roundings {
    private static List<Run> runs(
        int sourceBlock, int targetBlock, TokenSpan span, Rounding rounding) {
      String model = "layers=1,heads=1,head-size=1,dtype=fp8_e4m3,block=";
      TransferPlanner planner = Plans.planner(model + sourceBlock, model + targetBlock);
      TransferPlan plan =
          planner.plan(
              planner.target().rank(0, 0),
              List.of(BlockTable.of(0, 2, 4, 6)),
              List.of(BlockTable.of(0, 1, 2, 3, 4, 5, 6, 7)),
              span,
              rounding);
      long from = planner.source().rank(0, 0).regions().getFirst().getFirst().baseAddress();
      long to = planner.target().rank(0, 0).regions().getFirst().getFirst().baseAddress();
      return Plans.runs(plan.reads().getFirst()).stream()
          .map(run -> new Run((run.source() - from) / 2, (run.target() - to) / 2, run.bytes() / 2))
          .toList();
    }

    @Test
    void wholeBlocks_whenSourceBlocksAreSmaller_endWithTheSourceBlock() {
      assertThat(runs(4, 16, new TokenSpan(2, 5), Rounding.WHOLE_BLOCKS))
          .containsExactly(new Run(2, 2, 2), new Run(8, 4, 4));
    }

    @Test
    void wholeBlocks_whenSourceBlocksAreLarger_endWithTheTargetBlock() {
      assertThat(runs(16, 4, new TokenSpan(2, 5), Rounding.WHOLE_BLOCKS))
          .containsExactly(new Run(2, 2, 6));
    }

    @Test
    void exact_endsWithTheSpan() {
      assertThat(runs(4, 16, new TokenSpan(2, 5), Rounding.EXACT))
          .containsExactly(new Run(2, 2, 2), new Run(8, 4, 1));
    }
  }

  /** Addresses of the caller's own: what a description of a peer becomes after a handshake. */
  @Test
  void plan_forARankAtOtherAddresses_usesThem() {
    TransferPlanner planner = Plans.planner("layers=1,tp=2", "layers=1,tp=2");
    Rank described = planner.target().rank(0, 1);
    Region there = described.regions().getFirst().getFirst().at(0x1234_0000L);
    Rank rank = new Rank(0, 1, List.of(List.of(there)));
    TransferPlan plan =
        planner.plan(
            rank,
            List.of(BlockTable.of(0)),
            List.of(BlockTable.of(0)),
            new TokenSpan(0, 16),
            Rounding.EXACT);
    assertThat(Plans.sources(plan)).containsExactly(1);
    assertThat(Plans.runs(plan.reads().getFirst()).getFirst().target()).isEqualTo(0x1234_0000L);
  }

  @Test
  void plan_forARankOfAnotherModel_isRefused() {
    TransferPlanner planner = Plans.planner("layers=2,window=4", "layers=2,window=4");
    Rank rank = GeometryText.parse("layers=2").geometry().rank(0, 0);
    List<BlockTable> tables = List.of(BlockTable.of(1), BlockTable.of(2));
    assertThatThrownBy(
            () -> planner.plan(rank, tables, tables, new TokenSpan(0, 1), Rounding.EXACT))
        .isInstanceOf(IncompatibleGeometry.class)
        .hasMessage("target rank (0, 0) has regions of 1 KV-cache groups, but the model has 2");
  }

  @Test
  void plan_whenNoSourceRankHoldsALayer_saysSo() {
    GeometrySpec spec = GeometryText.parse("layers=2");
    Geometry whole = spec.geometry();
    Rank half = new Rank(0, 0, List.of(whole.rank(0, 0).regions().getFirst().subList(0, 1)));
    Geometry broken =
        new Geometry(whole.model(), whole.parallelism(), 16, whole.layout(), List.of(half));
    TransferPlanner planner = new TransferPlanner(broken, whole);
    assertThatThrownBy(() -> Plans.plan(planner, 0, BlockTable.of(0), BlockTable.of(0), 16))
        .isInstanceOf(IncompatibleGeometry.class)
        .hasMessage(
            "KV-cache group 0: target rank (0, 0) keeps 8192 bytes per token, the source's ranks"
                + " have 4096 of them");
  }

  @Test
  void cursors_ofOneRead_areIndependent() {
    TransferPlanner planner = Plans.planner("layers=2", "layers=2,layout=nhd");
    SourceRead read =
        Plans.plan(planner, 0, BlockTable.of(3), BlockTable.of(4), 16).reads().getFirst();
    RunCursor one = read.cursor();
    one.next();
    long first = one.targetAddress();
    one.next();
    RunCursor two = read.cursor();
    two.next();
    assertThat(two.targetAddress()).isEqualTo(first).isNotEqualTo(one.targetAddress());
    assertThat(read).hasToString("read from rank (0, 0)");
  }

  /** 80 tensors of the source meet in one block of the target: still in the target's order. */
  @Test
  void cursor_ofManyTensorsIntoOne_ascendsInEachBlock() {
    TransferPlanner planner =
        Plans.planner(
            "layers=80,heads=4,head-size=2", "layers=80,heads=4,head-size=2,layout=cross-layer");
    TransferPlan plan = Plans.plan(planner, 0, BlockTable.of(3, 1), BlockTable.of(7, 5), 32);
    List<Run> runs = Plans.runs(plan.reads().getFirst());
    assertThat(runs).hasSize(2 * 80 * 4);
    assertThat(runs.subList(0, 320))
        .isSortedAccordingTo((a, b) -> Long.compare(a.target(), b.target()));
    assertThat(runs.subList(320, 640))
        .isSortedAccordingTo((a, b) -> Long.compare(a.target(), b.target()));
    assertThat(runs.get(0).target()).isGreaterThan(runs.get(320).target());
  }

  /** The order of a peer's handshake is its own. */
  @Test
  void cursor_ofTensorsInReverseOrder_ascendsAllTheSame() {
    Geometry source = GeometryText.parse("layers=9,heads=2,head-size=2").geometry();
    Rank reversed = new Rank(0, 0, List.of(source.rank(0, 0).regions().getFirst().reversed()));
    TransferPlanner planner =
        new TransferPlanner(
            new Geometry(
                source.model(), source.parallelism(), 16, source.layout(), List.of(reversed)),
            GeometryText.parse("layers=9,heads=2,head-size=2,layout=cross-layer").geometry());
    TransferPlan plan = Plans.plan(planner, 0, BlockTable.of(3), BlockTable.of(7), 16);
    assertThat(Plans.runs(plan.reads().getFirst()))
        .hasSize(18)
        .isSortedAccordingTo((a, b) -> Long.compare(a.target(), b.target()));
  }

  /** Two tensors are registered apart, even where the memory of one begins as the other's ends. */
  @Test
  void cursor_ofNeighbouringTensors_doesNotRunFromOneIntoTheNext() {
    String model = "layers=2,heads=1,blocks=1";
    GeometrySpec spec = GeometryText.parse(model);
    long tensorBytes = spec.allocations(0, 0).getFirst().bytes();
    TransferPlanner planner =
        new TransferPlanner(
            spec.geometry((pipeline, tensor, allocation) -> 4096 + allocation * tensorBytes),
            GeometryText.parse(model + ",layout=cross-layer-lhn").geometry());
    TransferPlan plan = Plans.plan(planner, 0, BlockTable.of(0), BlockTable.of(0), 16);
    assertThat(Plans.runs(plan.reads().getFirst()))
        .extracting(Run::bytes)
        .containsExactly(tensorBytes, tensorBytes);
  }
}
