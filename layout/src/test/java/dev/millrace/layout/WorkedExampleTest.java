package dev.millrace.layout;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.Plans.Run;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;

/** Plans with every address written out. */
class WorkedExampleTest {

  /**
   * A model like Qwen3-0.6B, 40 tokens in three blocks. A block of one layer has 65536 bytes at TP
   * 1, 32768 at TP 2.
   */
  @Nested
  class Qwen {
    private static final String MODEL = "layers=28,heads=8,head-size=128,block=16,dtype=bf16";
    private static final BlockTable SOURCE = BlockTable.of(7, 8, 9);
    private static final BlockTable TARGET = BlockTable.of(100, 101, 102);

    private final GeometrySpec one = GeometryText.parse("tp=1,blocks=1000," + MODEL);
    private final GeometrySpec two = GeometryText.parse("tp=2,blocks=2000," + MODEL);

    /** Each layer's tensor at a round address: 4 GiB per layer, 1 TiB per rank. */
    private static long base(int tensor, int layer) {
      return ((tensor + 1L) << 40) + ((long) layer << 32);
    }

    private final Geometry oneRank = one.geometry((p, t, layer) -> base(t, layer));
    private final Geometry twoRanks = two.geometry((p, t, layer) -> base(t, layer));

    private TransferPlan plan(Geometry from, Geometry to, int tensor, Rounding rounding) {
      return new TransferPlanner(from, to)
          .plan(
              to.rank(0, tensor), List.of(SOURCE), List.of(TARGET), new TokenSpan(0, 40), rounding);
    }

    /** Half of each source block: no two runs touch, though the block ids are neighbours. */
    @Test
    void oneToTwo_readsTheUpperHalfOfEveryBlock() {
      TransferPlan plan = plan(oneRank, twoRanks, 1, Rounding.WHOLE_BLOCKS);
      List<Run> expected = new ArrayList<>();
      for (int layer = 0; layer < 28; layer++) {
        for (int i = 0; i < 3; i++) {
          expected.add(
              new Run(
                  base(0, layer) + 32768 + (7 + i) * 65536L,
                  base(1, layer) + (100 + i) * 32768L,
                  32768));
        }
      }
      // The target's blocks are dense, the source's halves are not.
      assertThat(Plans.runs(plan.reads().getFirst())).isEqualTo(expected);
      assertThat(plan.size())
          .isEqualTo(new PlanSize(40 * 28 * 2048L, 2_752_512, 84, 1, 32768, 32768));
    }

    /** Eight tokens of each of four heads. */
    @Test
    void oneToTwo_exact_readsEightTokensOfTheLastBlockHeadByHead() {
      TransferPlan plan = plan(oneRank, twoRanks, 1, Rounding.EXACT);
      List<Run> runs = Plans.runs(plan.reads().getFirst()).subList(0, 6);
      long from = base(0, 0) + 32768 + 9 * 65536L;
      long to = base(1, 0) + 102 * 32768L;
      assertThat(runs.subList(2, 6))
          .containsExactly(
              new Run(from, to, 4096),
              new Run(from + 8192, to + 8192, 4096),
              new Run(from + 16384, to + 16384, 4096),
              new Run(from + 24576, to + 24576, 4096));
      assertThat(plan.size().runs()).isEqualTo(28 * 6);
    }

    @Test
    void oneToTwo_tail_isWhatLiesBehindToken40() {
      List<Run> zeros = Plans.zeros(plan(oneRank, twoRanks, 1, Rounding.WHOLE_BLOCKS).tail());
      long block = base(1, 0) + 102 * 32768L;
      assertThat(zeros).hasSize(28 * 4);
      assertThat(zeros.subList(0, 4))
          .containsExactly(
              new Run(0, block + 4096, 4096),
              new Run(0, block + 12288, 4096),
              new Run(0, block + 20480, 4096),
              new Run(0, block + 28672, 4096));
    }

    @Test
    void twoToOne_readsBothHalvesFromBothRanks() {
      TransferPlan plan = plan(twoRanks, oneRank, 0, Rounding.WHOLE_BLOCKS);
      assertThat(Plans.sources(plan)).containsExactly(0, 1);
      for (int tensor = 0; tensor < 2; tensor++) {
        List<Run> expected = new ArrayList<>();
        for (int layer = 0; layer < 28; layer++) {
          for (int i = 0; i < 3; i++) {
            expected.add(
                new Run(
                    base(tensor, layer) + (7 + i) * 32768L,
                    base(0, layer) + (100 + i) * 65536L + tensor * 32768L,
                    32768));
          }
        }
        assertThat(Plans.runs(plan.reads().get(tensor))).isEqualTo(expected);
      }
    }

    /** Neighbouring block ids on both sides: three blocks are one run. */
    @Test
    void oneToOne_whenBlockIdsAreNeighbours_readsOneRunPerLayer() {
      TransferPlan plan = plan(oneRank, oneRank, 0, Rounding.WHOLE_BLOCKS);
      assertThat(plan.size().bytesMoved()).isEqualTo(28 * 3 * 65536);
      assertThat(Plans.runs(plan.reads().getFirst()))
          .hasSize(28)
          .startsWith(
              new Run(base(0, 0) + 7 * 65536L, base(0, 0) + 100 * 65536L, 3 * 65536L),
              new Run(base(0, 1) + 7 * 65536L, base(0, 1) + 100 * 65536L, 3 * 65536L));
    }
  }

  /**
   * P block 4, D block 16, 40 tokens, D's first block cached. vLLM (August and September 2026)
   * pairs both lists from their ends and so puts P's token 8 where D's token 16 belongs.
   */
  @Test
  void blocksOfFourIntoSixteen_behindAPrefixHit_token16IsToken16() {
    TransferPlanner planner =
        Plans.planner(
            "layers=1,heads=1,head-size=4,dtype=fp8_e4m3,block=4",
            "layers=1,heads=1,head-size=4,dtype=fp8_e4m3,block=16");
    int tokenBytes = 8;
    BlockTable source = BlockTable.of(50, 40, 30, 20, 10, 9, 7, 5, 3, 1);
    TransferPlan plan =
        planner.plan(
            planner.target().rank(0, 0),
            List.of(source),
            List.of(BlockTable.startingAt(1, 66, 77)),
            new TokenSpan(16, 40),
            Rounding.EXACT);
    long from = planner.source().rank(0, 0).regions().getFirst().getFirst().baseAddress();
    long to = planner.target().rank(0, 0).regions().getFirst().getFirst().baseAddress();
    List<Run> expected = new ArrayList<>();
    for (int token = 16; token < 40; token += 4) {
      long targetBlock = token < 32 ? 66 : 77;
      expected.add(
          new Run(
              from + source.id(token / 4) * 4L * tokenBytes,
              to + (targetBlock * 16 + token % 16) * tokenBytes,
              4L * tokenBytes));
    }
    assertThat(Plans.runs(plan.reads().getFirst())).isEqualTo(expected);
  }

  @Nested
  class CpuAttention {
    private static final String MODEL = "layers=2,heads=4,head-size=32,layout=cpu";

    @Test
    void equalBlockSizes_moveEveryBlockAsOneRun() {
      TransferPlanner planner = Plans.planner("block=32," + MODEL, "block=32," + MODEL);
      TransferPlan plan =
          planner.plan(
              planner.target().rank(0, 0),
              List.of(BlockTable.of(4, 9, 2)),
              List.of(BlockTable.of(8, 3, 5)),
              new TokenSpan(0, 96),
              Rounding.EXACT);
      assertThat(plan.size()).isEqualTo(new PlanSize(6 * 16384, 6 * 16384, 6, 1, 16384, 16384));
    }

    /** V of a head is one run per block, K one per dimension: K is transposed. */
    @Test
    void unequalBlockSizes_moveKDimensionByDimension() {
      TransferPlanner planner = Plans.planner("block=32," + MODEL, "block=64," + MODEL);
      TransferPlan plan = Plans.plan(planner, 0, BlockTable.of(4, 9), BlockTable.of(8), 64);
      assertThat(plan.size().runs()).isEqualTo(2 * 2 * 4 * (32 + 1));
      assertThat(plan.size().shortestRunBytes()).isEqualTo(32 * 2);
      assertThat(plan.size().medianRunBytes()).isEqualTo(32 * 2);
    }
  }

  /** Two groups that share tensors, as vLLM 0.32 exported them: window 64, 200 tokens. */
  @Test
  void slidingWindow_movesTheBlocksThatBothSidesHave() {
    TransferPlanner planner =
        Plans.planner(
            "layers=4,heads=4,head-size=32,block=32,window=64",
            "layers=4,heads=4,head-size=32,block=32,window=64");
    TransferPlan plan =
        planner.plan(
            planner.target().rank(0, 0),
            List.of(
                BlockTable.suffix(200, 32, 21, 22, 105), BlockTable.of(24, 25, 26, 27, 28, 29, 73)),
            List.of(BlockTable.suffix(200, 32, 40, 50, 60), BlockTable.of(1, 3, 5, 7, 9, 11, 13)),
            new TokenSpan(0, 200),
            Rounding.WHOLE_BLOCKS);
    assertThat(plan.size().bytesMoved()).isEqualTo(2 * (3 + 7) * 16384L);
    assertThat(plan.size().bytesNeeded()).isEqualTo(2 * (72 + 200) * 512L);
  }
}
