package dev.millrace.layout;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.layout.Plans.Run;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** States of state-space layers: where they lie and how they move. */
class StateTest {
  private static final StateShape.Convolution CONVOLUTION =
      new StateShape.Convolution(3, ElementType.BFLOAT16);
  private static final StateShape MAMBA1 =
      StateShape.mamba1(32, 16, CONVOLUTION, ElementType.FLOAT32);
  private static final StateShape MAMBA2 =
      StateShape.mamba2(8, 4, 4, 16, CONVOLUTION, ElementType.FLOAT32);
  private static final StateShape DELTA_NET =
      StateShape.gatedDeltaNet(4, 8, 8, 4, CONVOLUTION, ElementType.BFLOAT16);

  /** Two layers of states and two of attention, which share two tensors. */
  private static GeometrySpec hybrid(StateShape state, int tensor, int block, int perId, int ids) {
    ModelShape model =
        new ModelShape(
            4,
            8,
            2,
            ElementType.BFLOAT16,
            List.of(
                new CacheGroup.StateSpace(List.of(0, 2), state),
                new CacheGroup.Full(List.of(1, 3))));
    return new GeometrySpec(
        model, Parallelism.tensor(tensor), block, Layout.HND, ids * perId, perId);
  }

  @Nested
  class Shapes {
    /** Granite-4.0-H-tiny: 48 heads of 64, one group, states of 128; kernel of 4. */
    @Test
    void mamba2_hasTheSizesOfAHandshake() {
      StateShape granite = StateShape.mamba2(48, 64, 1, 128, CONVOLUTION, ElementType.FLOAT32);
      assertThat(granite.convolutionBytes(1)).isEqualTo((3072 + 2 * 128) * 3 * 2);
      assertThat(granite.temporalBytes(1)).isEqualTo(48 * 64 * 128 * 4);
      assertThat(granite.temporalBytes(2)).isEqualTo(24 * 64 * 128 * 4);
      assertThat(granite.bytes()).isEqualTo(granite.convolutionBytes(1) + granite.temporalBytes(1));
      assertThat(granite.parts())
          .extracting(StateShape.Part::name)
          .containsExactly("x", "B", "C", "temporal");
    }

    @Test
    void gatedDeltaNet_hasQueryKeyAndValue() {
      assertThat(DELTA_NET.parts())
          .containsExactly(
              new StateShape.Part("Q", 32, 3, ElementType.BFLOAT16),
              new StateShape.Part("K", 32, 3, ElementType.BFLOAT16),
              new StateShape.Part("V", 32, 3, ElementType.BFLOAT16),
              new StateShape.Part("temporal", 8, 32, ElementType.BFLOAT16));
      assertThat(DELTA_NET.channels()).isEqualTo(104);
      assertThat(DELTA_NET.firstChannel(3)).isEqualTo(96);
      assertThat(DELTA_NET.partOf(95).name()).isEqualTo("V");
      assertThat(DELTA_NET.partOf(96).name()).isEqualTo("temporal");
      assertThatIllegalArgumentException().isThrownBy(() -> DELTA_NET.partOf(104));
    }

    @Test
    void state_withoutATemporalPart_isRefused() {
      assertThatIllegalArgumentException()
          .isThrownBy(() -> new StateShape(MAMBA1.parts().subList(0, 1)));
      assertThatIllegalArgumentException()
          .isThrownBy(() -> new StateShape.Part("x", 0, 1, ElementType.INT8));
      assertThatIllegalArgumentException()
          .isThrownBy(() -> new StateShape.Part("x", 1, 0, ElementType.INT8));
    }

    @Test
    void channels_thatDoNotDivideAmongRanks_areRefused() {
      assertThatThrownBy(() -> MAMBA2.temporalBytes(3))
          .isInstanceOf(IncompatibleGeometry.class)
          .hasMessage(
              "8 channels of a state's part temporal do not divide among 3 tensor-parallel ranks");
    }

    @Test
    void model_countsTokensAndStatesApart() {
      ModelShape model = hybrid(MAMBA2, 1, 16, 4, 8).model();
      assertThat(model.bytesPerToken()).isEqualTo(2 * 2 * 4 * 8 * 2);
      assertThat(model.stateBytes()).isEqualTo(2 * MAMBA2.bytes());
      assertThat(model.layers()).isEqualTo(4);
    }
  }

  @Nested
  class Pages {
    /** A block of attention has 16 * 4 * 2 * 8 * 2 bytes, a state 3008. */
    @Test
    void states_fillPagesOfTheTensorsThatAttentionUses() {
      GeometrySpec spec = hybrid(MAMBA2, 1, 16, 2, 5);
      assertThat(spec.allocations(0, 0))
          .containsExactly(
              new Allocation("model.layers.0.mixer", 10, 2048),
              new Allocation("model.layers.2.mixer", 10, 2048));
      Rank rank = spec.geometry((p, t, a) -> 0x10000L * (a + 1)).rank(0, 0);
      Region x = rank.regions().get(0).getFirst();
      assertThat(x.isState()).isTrue();
      assertThat(x.blocks()).isEqualTo(5);
      assertThat(x.blockStrideBytes()).isEqualTo(4096);
      assertThat(rank.regions().get(0))
          .extracting(Region::baseAddress)
          .startsWith(0x10000L, 0x10000L + 32 * 6, 0x10000L + (32 + 64) * 6);
      Region attention = rank.regions().get(1).getFirst();
      assertThat(attention.isState()).isFalse();
      assertThat(attention.baseAddress()).isEqualTo(0x10000L);
      assertThat(attention.blocks()).isEqualTo(10);
      assertThat(spec.geometry().tokensPerId()).isEqualTo(32);
    }

    @Test
    void state_largerThanAPage_isRefused() {
      assertThatThrownBy(() -> hybrid(MAMBA2, 1, 16, 1, 5).geometry())
          .isInstanceOf(IncompatibleGeometry.class)
          .hasMessageContaining("does not fit into a page of 2048: 1 blocks of 2048 bytes");
    }

    @Test
    void state_overSeveralTensors_isRefused() {
      GeometrySpec one = hybrid(MAMBA2, 1, 16, 2, 5);
      assertThatThrownBy(() ->
              new GeometrySpec(one.model(), one.parallelism(), 16, Layout.HND_SEPARATE, 10, 2)
                  .geometry())
          .isInstanceOf(IncompatibleGeometry.class)
          .hasMessageStartingWith("layout hnd-separate has several tensors per layer");
    }

    @Test
    void spec_ofHalfAPage_isRefused() {
      assertThatIllegalArgumentException()
          .isThrownBy(() ->
              new GeometrySpec(
                  ModelShape.dense(1, 1, 1, ElementType.INT8),
                  Parallelism.tensor(1),
                  1,
                  Layout.HND,
                  5,
                  2));
    }

    @Test
    void modelOfStatesAlone_hasPagesOfTheirSize() {
      ModelShape model =
          new ModelShape(
              1,
              1,
              2,
              ElementType.BFLOAT16,
              List.of(new CacheGroup.StateSpace(List.of(0, 1), MAMBA1)));
      GeometrySpec spec = new GeometrySpec(model, Parallelism.tensor(2), 16, Layout.HND, 3);
      assertThat(spec.allocations(0, 1).getFirst().blockBytes()).isEqualTo(MAMBA1.bytes() / 2);
    }
  }

  @Nested
  class Movements {
    static Stream<Arguments> pairs() {
      List<Arguments> pairs = new ArrayList<>();
      for (StateShape state : List.of(MAMBA1, MAMBA2, DELTA_NET)) {
        pairs.add(Arguments.of(state, 1, 1));
        pairs.add(Arguments.of(state, 1, 2));
        pairs.add(Arguments.of(state, 1, 4));
        pairs.add(Arguments.of(state, 2, 4));
        pairs.add(Arguments.of(state, 2, 1));
        pairs.add(Arguments.of(state, 4, 1));
        pairs.add(Arguments.of(state, 4, 2));
      }
      return pairs.stream();
    }

    /**
     * The descriptors that vLLM computes for states (v0.28, {@code ssm_conv_transfer_utils} and
     * {@code base_worker}), as byte for byte the same movement. Source and destination differ in
     * their pages.
     */
    @ParameterizedTest(name = "{0}, TP {1} to {2}")
    @MethodSource("pairs")
    void plan_movesWhatVllmsDescriptorsMove(StateShape state, int p, int d) {
      GeometrySpec from = hybrid(state, p, 16, 4, 8);
      GeometrySpec to = hybrid(state, d, 32, 3, 8);
      TransferPlanner planner =
          new TransferPlanner(
              from.geometry((stage, rank, tensor) -> base(rank, tensor)),
              to.geometry((stage, rank, tensor) -> (1L << 44) + base(rank, tensor)));
      for (int rank = 0; rank < d; rank++) {
        TransferPlan plan =
            planner.plan(
                planner.target().rank(0, rank),
                List.of(BlockTable.of(5), BlockTable.of(1, 2)),
                List.of(BlockTable.of(3), BlockTable.of(4, 6)),
                new TokenSpan(0, 60),
                Rounding.EXACT);
        Map<Long, Long> moved = new HashMap<>();
        for (SourceRead read : plan.reads()) {
          addTo(moved, Plans.runs(read));
        }
        Map<Long, Long> states = new HashMap<>();
        for (int tensor = 0; tensor < 2; tensor++) {
          addTo(states, descriptors(state, from, to, tensor, rank));
        }
        assertThat(moved).containsAllEntriesOf(states);
        assertThat(moved).hasSize(states.size() + (int) (60 * from.model().bytesPerToken() / d));
      }
    }

    private static long base(int rank, int tensor) {
      return ((rank + 1L) << 32) + ((long) tensor << 24);
    }

    private static void addTo(Map<Long, Long> movement, List<Run> runs) {
      for (Run run : runs) {
        for (long i = 0; i < run.bytes(); i++) {
          assertThat(movement.put(run.target() + i, run.source() + i)).isNull();
        }
      }
    }

    /** State 5 of the source into state 3 of a destination rank, by vLLM's formulas. */
    private static List<Run> descriptors(
        StateShape state, GeometrySpec from, GeometrySpec to, int tensor, int rank) {
      int p = from.parallelism().tensor();
      int d = to.parallelism().tensor();
      long local =
          (1L << 44) + base(rank, tensor) + 3 * 3 * to.allocations(0, rank).get(0).blockBytes();
      int ratio = d >= p ? d / p : -(p / d);
      List<StateShape.Part> projections = state.parts().subList(0, state.parts().size() - 1);
      StateShape.Part temporal = state.parts().getLast();
      List<Run> runs = new ArrayList<>();
      int sources = Math.max(1, -ratio);
      for (int position = 0; position < sources; position++) {
        int source = ratio > 0 ? rank / ratio : rank * sources + position;
        long remote =
            base(source, tensor) + 5 * 4 * from.allocations(0, source).get(0).blockBytes();
        long localOffset = 0;
        long remoteBase = 0;
        for (StateShape.Part projection : projections) {
          long size = projection.bytes() / d;
          long share = size / sources;
          long offset = rank % Math.max(ratio, 1) * size;
          runs.add(
              new Run(
                  remote + remoteBase + (ratio > 0 ? offset : 0),
                  local + localOffset + position * share,
                  share));
          localOffset += size;
          remoteBase += ratio > 0 ? size * ratio : share;
        }
        long size = temporal.bytes() / d;
        long share = size / sources;
        runs.add(
            new Run(
                remote + state.convolutionBytes(p) + (ratio > 0 ? rank % ratio * share : 0),
                local + state.convolutionBytes(d) + position * share,
                share));
      }
      return runs;
    }

    /** An engine that keeps the states of block ends gives more of them; the last is the last. */
    @ParameterizedTest
    @CsvSource({"2, 1", "1, 2", "2, 2"})
    void states_arePairedFromTheirEnds(int from, int to) {
      Geometry geometry = hybrid(MAMBA1, 1, 16, 2, 8).geometry((p, t, a) -> 0x100000L * (a + 1));
      TransferPlan plan =
          new TransferPlanner(geometry, geometry)
              .plan(
                  geometry.rank(0, 0),
                  List.of(from == 1 ? BlockTable.of(7) : BlockTable.of(6, 7), BlockTable.of(0)),
                  List.of(to == 1 ? BlockTable.of(4) : BlockTable.of(3, 4), BlockTable.of(1)),
                  new TokenSpan(0, 1),
                  Rounding.EXACT);
      List<Run> ofFirstTensor =
          Plans.runs(plan.reads().getFirst()).stream()
              .filter(run -> run.bytes() >= MAMBA1.bytes() && run.target() < 0x200000)
              .toList();
      Run last = new Run(0x100000 + 7 * 4096, 0x100000 + 4 * 4096, MAMBA1.bytes());
      Run before = new Run(0x100000 + 6 * 4096, 0x100000 + 3 * 4096, MAMBA1.bytes());
      assertThat(ofFirstTensor)
          .isEqualTo(Math.min(from, to) == 1 ? List.of(last) : List.of(before, last));
    }

    /** A state is whole or not there: where the prompt's start is cached, it moves all the same. */
    @Test
    void state_behindAPrefixHit_movesWhole() {
      Geometry geometry = hybrid(MAMBA1, 1, 16, 2, 8).geometry();
      TransferPlan plan =
          new TransferPlanner(geometry, geometry)
              .plan(
                  geometry.rank(0, 0),
                  List.of(BlockTable.of(7), BlockTable.of(0, 1)),
                  List.of(BlockTable.of(4), BlockTable.startingAt(1, 2)),
                  new TokenSpan(32, 40),
                  Rounding.EXACT);
      assertThat(plan.size().bytesMoved()).isEqualTo(2 * MAMBA1.bytes() + 8 * 2 * 4 * 2 * 8 * 2);
      assertThat(plan.size().bytesNeeded()).isEqualTo(plan.size().bytesMoved());
    }
  }
}
