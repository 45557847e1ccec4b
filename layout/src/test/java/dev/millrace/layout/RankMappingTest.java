package dev.millrace.layout;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.Plans.Run;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The planner finds the ranks and offsets that vLLM computes case by case (v0.28, {@code
 * tp_mapping.compute_tp_mapping}; worked values of its formulas).
 */
class RankMappingTest {

  /** Per destination rank: source ranks / offset at the source in units of what is read of it. */
  @ParameterizedTest(name = "TP {0} to {1}, {2}")
  @CsvSource(
      delimiter = '|',
      value = {
        "1 | 2  | heads=8 | [0]/0 [0]/1",
        "2 | 4  | heads=8 | [0]/0 [0]/1 [1]/0 [1]/1",
        "4 | 2  | heads=8 | [0, 1]/0 [2, 3]/0",
        "8 | 16 | heads=8 | [0]/0 [0]/0 [1]/0 [1]/0 [2]/0 [2]/0 [3]/0 [3]/0 [4]/0 [4]/0 [5]/0 [5]/0 [6]/0 [6]/0 [7]/0 [7]/0",
        "2 | 8  | heads=4 | [0]/0 [0]/0 [0]/1 [0]/1 [1]/0 [1]/0 [1]/1 [1]/1",
        "4 | 16 | heads=8 | [0]/0 [0]/0 [0]/1 [0]/1 [1]/0 [1]/0 [1]/1 [1]/1 [2]/0 [2]/0 [2]/1 [2]/1 [3]/0 [3]/0 [3]/1 [3]/1",
        "4 | 2  | heads=2 | [0]/0 [2]/0",
        "4 | 1  | heads=2 | [0, 2]/0",
        "8 | 2  | mla=true | [0]/0 [4]/0",
        "2 | 8  | mla=true | [0]/0 [0]/0 [0]/0 [0]/0 [1]/0 [1]/0 [1]/0 [1]/0",
        "8 | 8  | heads=2 | [0]/0 [1]/0 [2]/0 [3]/0 [4]/0 [5]/0 [6]/0 [7]/0",
        "2 | 1  | heads=1 | [0]/0",
        "3 | 2  | mla=true | [0]/0 [1]/0",
      })
  void reads_perTargetRank_comeFromVllmsRanks(int p, int d, String model, String expected) {
    TransferPlanner planner =
        Plans.planner(
            "layers=1,tp=%d,%s".formatted(p, model), "layers=1,tp=%d,%s".formatted(d, model));
    List<String> found = new ArrayList<>();
    for (int rank = 0; rank < d; rank++) {
      TransferPlan plan =
          Plans.plan(
              planner, rank, BlockTable.of(5), BlockTable.of(9), planner.source().blockSize());
      SourceRead read = plan.reads().getFirst();
      Run run = Plans.runs(read).getFirst();
      Region region = read.source().regions().getFirst().getFirst();
      long offset = run.source() - region.baseAddress() - 5 * region.blockStrideBytes();
      found.add(Plans.sources(plan) + "/" + offset / run.bytes());
    }
    assertThat(String.join(" ", found)).isEqualTo(expected);
  }

  @ParameterizedTest(name = "TP {0} to {1}")
  @CsvSource({"4, 2", "8, 2", "8, 1"})
  void reads_whenTargetHasFewerRanks_fillTheSlotsInOrder(int p, int d) {
    TransferPlanner planner = Plans.planner("layers=1,heads=8,tp=" + p, "layers=1,heads=8,tp=" + d);
    Region region = planner.target().rank(0, d - 1).regions().getFirst().getFirst();
    TransferPlan plan = Plans.plan(planner, d - 1, BlockTable.of(5), BlockTable.of(9), 16);
    long slotBytes = region.blockStrideBytes() / (p / d);
    long address = region.baseAddress() + 9 * region.blockStrideBytes();
    for (SourceRead read : plan.reads()) {
      assertThat(Plans.runs(read))
          .singleElement()
          .returns(address, Run::target)
          .returns(slotBytes, Run::bytes);
      address += slotBytes;
    }
  }
}
