package dev.millrace.transfer.permute;

import dev.millrace.layout.BlockTable;
import dev.millrace.layout.Geometry;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.GeometryText;
import dev.millrace.layout.Rank;
import dev.millrace.layout.Rounding;
import dev.millrace.layout.SourceRead;
import dev.millrace.layout.TokenSpan;
import dev.millrace.layout.TransferPlan;
import dev.millrace.layout.TransferPlanner;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;

/**
 * How fast blocks are re-laid on one core, beside a plain memory copy of as many bytes, by CPU
 * time: a Llama-8B-like cache from one layout to another. Rounds alternate, the median counts.
 *
 * <pre>
 * java -cp … dev.millrace.transfer.permute.RelayoutBenchmark [rounds] [tokens]
 * </pre>
 */
final class RelayoutBenchmark {
  /** As the agent re-lays: part by part, all ranks of one before the next. */
  private static final int PART_TOKENS = Integer.getInteger("part", 64);

  private static final String MODEL = "layers=32,heads=8,head-size=128,dtype=";

  /** What others do on the machine takes time, but not CPU time of this thread. */
  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  private record Pair(String name, String source, String target, String dtype) {}

  private static final List<Pair> PAIRS =
      List.of(
          new Pair("equal", "block=16,layout=hnd", "block=16,layout=hnd", "bf16"),
          new Pair("block 16 to 64, hnd", "block=16,layout=hnd", "block=64,layout=hnd", "bf16"),
          new Pair("block 64 to 32, nhd", "block=64,layout=nhd", "block=32,layout=nhd", "bf16"),
          new Pair("hnd to nhd", "block=16,layout=hnd", "block=16,layout=nhd", "bf16"),
          new Pair("nhd to hnd, block 64", "block=16,layout=nhd", "block=64,layout=hnd", "bf16"),
          new Pair("hnd-split to hnd", "block=16,layout=hnd-split", "block=16,layout=hnd", "bf16"),
          new Pair(
              "cross-layer to hnd", "block=16,layout=cross-layer", "block=16,layout=hnd", "bf16"),
          new Pair("tp 1 to 8, nhd", "block=16,layout=nhd", "tp=8,block=16,layout=nhd", "bf16"),
          new Pair("cpu 32 to cpu 64", "block=32,layout=cpu", "block=64,layout=cpu", "bf16"),
          new Pair("cpu to hnd", "block=32,layout=cpu", "block=16,layout=hnd", "bf16"),
          new Pair("hnd to cpu", "block=16,layout=hnd", "block=32,layout=cpu", "bf16"),
          new Pair("cpu to nhd, fp8", "block=32,layout=cpu", "block=16,layout=nhd", "fp8_e4m3"),
          new Pair("nhd to cpu, fp32", "block=16,layout=nhd", "block=32,layout=cpu", "fp32"));

  private RelayoutBenchmark() {}

  /** An engine's memory, all ranks in one piece, and a table of scattered blocks. */
  private record Engine(Geometry geometry, MemorySegment memory, List<BlockTable> tables) {
    static Engine of(Arena arena, String text, int tokens, long seed) {
      GeometrySpec parsed = GeometryText.parse(text);
      int blocks = Math.ceilDiv(tokens, parsed.blockSize());
      GeometrySpec spec =
          new GeometrySpec(
              parsed.model(), parsed.parallelism(), parsed.blockSize(), parsed.layout(), blocks);
      LaidOut engine = LaidOut.of(arena, spec);
      engine.memory().fill((byte) seed);
      List<Integer> ids = new ArrayList<>(IntStream.range(0, blocks).boxed().toList());
      Collections.shuffle(ids, new Random(seed));
      return new Engine(
          engine.geometry(),
          engine.memory(),
          List.of(BlockTable.of(ids.stream().mapToInt(Integer::intValue).toArray())));
    }
  }

  public static void main(String[] arguments) {
    int rounds = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 7;
    int tokens = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 1024;
    System.out.printf("%d tokens, median of %d rounds, one core%n", tokens, rounds);
    System.out.printf("%-22s %8s %8s %8s %6s%n", "", "row", "GB/s", "memcpy", "ratio");
    for (Pair pair : PAIRS) {
      measure(pair, rounds, tokens);
    }
  }

  private static void measure(Pair pair, int rounds, int tokens) {
    try (Arena arena = Arena.ofShared()) {
      String model = MODEL + pair.dtype() + ",";
      Engine source = Engine.of(arena, model + pair.source(), tokens, 1);
      Engine target = Engine.of(arena, model + pair.target(), tokens, 2);
      List<List<SourceRead>> reads = new ArrayList<>();
      TransferPlanner planner = new TransferPlanner(source.geometry(), target.geometry());
      long row = Long.MAX_VALUE;
      for (int from = 0; from < tokens; from += PART_TOKENS) {
        TokenSpan part = new TokenSpan(from, Math.min(tokens, from + PART_TOKENS));
        List<SourceRead> ofPart = new ArrayList<>();
        for (Rank rank : target.geometry().ranks()) {
          TransferPlan plan =
              planner.plan(rank, source.tables(), target.tables(), part, Rounding.EXACT);
          ofPart.addAll(plan.reads());
          row = Math.min(row, plan.size().shortestRunBytes());
        }
        reads.add(ofPart);
      }
      NestCopy copy = new NestCopy(source.memory(), target.memory());
      double[] permuted = new double[rounds];
      double[] copied = new double[rounds];
      for (int round = -2; round < rounds; round++) {
        long start = THREADS.getCurrentThreadCpuTime();
        long bytes = 0;
        for (List<SourceRead> part : reads) {
          bytes += copy.copy(part.stream().map(SourceRead::nests).toList());
        }
        long middle = THREADS.getCurrentThreadCpuTime();
        target.memory().copyFrom(source.memory());
        long end = THREADS.getCurrentThreadCpuTime();
        if (round >= 0) {
          permuted[round] = bytes / (double) (middle - start);
          copied[round] = source.memory().byteSize() / (double) (end - middle);
        }
      }
      Arrays.sort(permuted);
      Arrays.sort(copied);
      double speed = permuted[rounds / 2];
      double memcpy = copied[rounds / 2];
      System.out.printf(
          "%-22s %7dB %8.2f %8.2f %6.2f%n", pair.name(), row, speed, memcpy, speed / memcpy);
    }
  }
}
