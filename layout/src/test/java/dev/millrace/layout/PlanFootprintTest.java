package dev.millrace.layout;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class PlanFootprintTest {

  /** 128k tokens, 80 layers, TP 8 to 4, blocks of 16 into blocks of 64. */
  @Test
  void plan_ofALongPrompt_staysSmall() {
    TransferPlanner planner =
        Plans.planner("layers=80,tp=8,block=16,blocks=8192", "layers=80,tp=4,block=64,blocks=2048");
    int tokens = 128 * 1024;
    List<BlockTable> source = List.of(descending(tokens / 16));
    List<BlockTable> target = List.of(descending(tokens / 64));
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long before = threads.getCurrentThreadAllocatedBytes();
    TransferPlan plan =
        planner.plan(
            planner.target().rank(0, 3), source, target, new TokenSpan(0, tokens), Rounding.EXACT);
    long allocated = threads.getCurrentThreadAllocatedBytes() - before;
    assertThat(plan.reads()).hasSize(2);
    assertThat(allocated).isLessThan(16 << 20);
  }

  private static BlockTable descending(int blocks) {
    return BlockTable.of(IntStream.range(0, blocks).map(i -> blocks - 1 - i).toArray());
  }
}
