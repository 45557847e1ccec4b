package dev.millrace.bench;

import dev.millrace.layout.BlockTable;
import dev.millrace.layout.GeometryText;
import dev.millrace.layout.Rounding;
import dev.millrace.layout.RunCursor;
import dev.millrace.layout.SourceRead;
import dev.millrace.layout.TokenSpan;
import dev.millrace.layout.TransferPlan;
import dev.millrace.layout.TransferPlanner;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * What one decode rank's share of a long prompt costs to plan: 128k tokens, 80 layers, TP 8 to 4,
 * blocks of 16 tokens to blocks of 64, block ids in no order.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(
    value = 2,
    jvmArgs = {"-Xmx1g", "-XX:+UseSerialGC"})
public class PlanBenchmark {
  private static final int TOKENS = 128 * 1024;
  private static final String MODEL = "layers=80,heads=8,head-size=128,dtype=bf16,layout=hnd,";

  // Geometries and block tables, as a router has them when a request comes.
  private final TransferPlanner planner =
      new TransferPlanner(
          GeometryText.parse(MODEL + "tp=8,block=16,blocks=8192").geometry(),
          GeometryText.parse(MODEL + "tp=4,block=64,blocks=2048").geometry());
  private final List<BlockTable> source = List.of(shuffled(TOKENS / 16, 1));
  private final List<BlockTable> target = List.of(shuffled(TOKENS / 64, 2));

  private static BlockTable shuffled(int blocks, long seed) {
    int[] ids = IntStream.range(0, blocks).toArray();
    Random random = new Random(seed);
    for (int i = ids.length - 1; i > 0; i--) {
      int j = random.nextInt(i + 1);
      int id = ids[i];
      ids[i] = ids[j];
      ids[j] = id;
    }
    return BlockTable.of(ids);
  }

  /** The plan itself: its runs are walked when they are read. */
  @Benchmark
  public TransferPlan plan() {
    return planner.plan(
        planner.target().rank(0, 3), source, target, new TokenSpan(0, TOKENS), Rounding.EXACT);
  }

  /** The plan, and a walk over each of its runs, as a transport does that posts them. */
  @Benchmark
  public long planAndWalk() {
    long sum = 0;
    for (SourceRead read : plan().reads()) {
      for (RunCursor run = read.cursor(); run.next(); ) {
        sum += run.sourceAddress() ^ run.targetAddress() + run.bytes();
      }
    }
    return sum;
  }
}
