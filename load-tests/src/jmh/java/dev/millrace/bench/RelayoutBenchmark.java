package dev.millrace.bench;

import dev.millrace.layout.BlockTable;
import dev.millrace.layout.Geometry;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Rank;
import dev.millrace.layout.Rounding;
import dev.millrace.layout.SourceRead;
import dev.millrace.layout.TokenSpan;
import dev.millrace.layout.TransferPlan;
import dev.millrace.layout.TransferPlanner;
import dev.millrace.transfer.permute.NestCopy;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * How fast blocks are re-laid on one core, beside a plain memory copy of as many bytes, by CPU
 * time: a Llama-8B-like cache from one layout to another. Rounds alternate, the median counts.
 */
final class RelayoutBenchmark {
  /** As the agent re-lays: part by part, all ranks of one before the next. */
  private static final int PART_TOKENS = 128;

  private static final int TOKENS = 1024;

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

  /** An engine's memory, and a table of scattered blocks. */
  private record Engine(Geometry geometry, MemorySegment memory, List<BlockTable> tables) {
    static Engine of(Arena arena, String shape, int tokens, long seed) {
      GeometrySpec spec = Cache.spec(shape, tokens);
      MemorySegment memory = arena.allocate(new Cache(spec, 0).bytes(), 4096).fill((byte) seed);
      Cache cache = new Cache(spec, memory.address());
      return new Engine(cache.geometry(), memory, List.of(cache.blocks(tokens, seed)));
    }
  }

  public static void main(String[] arguments) {
    int rounds = Integer.getInteger("rounds", 7);
    System.out.printf(
        "%n%d tokens, medians of %d rounds, one core%n%n| | shortest run | GB/s | memcpy GB/s |"
            + " ratio |%n|---|--:|--:|--:|--:|%n",
        TOKENS, rounds);
    for (Pair pair : PAIRS) {
      measure(pair, rounds);
    }
  }

  private static void measure(Pair pair, int rounds) {
    try (Arena arena = Arena.ofShared()) {
      String model = "dtype=" + pair.dtype() + ",";
      Engine source = Engine.of(arena, model + pair.source(), TOKENS, 1);
      Engine target = Engine.of(arena, model + pair.target(), TOKENS, 2);
      List<List<SourceRead>> reads = new ArrayList<>();
      TransferPlanner planner = new TransferPlanner(source.geometry(), target.geometry());
      long row = Long.MAX_VALUE;
      for (int from = 0; from < TOKENS; from += PART_TOKENS) {
        TokenSpan part = new TokenSpan(from, Math.min(TOKENS, from + PART_TOKENS));
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
          "| %s | %d B | %.2f | %.2f | %.2f |%n", pair.name(), row, speed, memcpy, speed / memcpy);
    }
  }
}
