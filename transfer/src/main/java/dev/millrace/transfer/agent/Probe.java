package dev.millrace.transfer.agent;

import dev.millrace.layout.Rank;
import dev.millrace.layout.Region;
import dev.millrace.layout.RunCursor;
import dev.millrace.layout.Runs;
import dev.millrace.transfer.Peer;
import dev.millrace.transfer.ReadOutcome;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Measures an edge: reads the first blocks of the first tensor of an engine's first rank, whatever
 * they hold, block by block as a hand-off would be read, and throws the bytes away.
 */
final class Probe {
  private static final int MOST_ROUNDS = 100;
  private static final long SMALLEST_READ_BYTES = 4096;

  /**
   * An edge in figures.
   *
   * @param probeBytes size of a probe
   * @param latency of the smallest read, median of all rounds
   * @param bytesPerSecond of the fastest round
   */
  record Figures(long probeBytes, Duration latency, long bytesPerSecond) {}

  private Probe() {}

  static Figures measure(
      KnownEngine engine, Memory memory, long bytes, int rounds, Deadline deadline, Duration most) {
    Rank rank = engine.geometry().rank(0, 0);
    Region region = rank.regions().getFirst().getFirst();
    long blockBytes = region.blockStrideBytes();
    long blocks = Math.clamp(bytes / blockBytes, 1, region.blocks());
    if (rounds < 1 || rounds > MOST_ROUNDS || bytes < 1) {
      throw new AgentRefusal(
          Reason.INVALID,
          "%d rounds (1 to %d) of %d bytes (at least 1)".formatted(rounds, MOST_ROUNDS, bytes));
    }
    Peer peer =
        deadline.await(
            engine.peer(rank, deadline.left(most)), Reason.UNREACHABLE, "connecting to the engine");
    long probeBytes = blocks * blockBytes;
    Memory.Scratch scratch = memory.scratch(probeBytes);
    List<Long> latencies = new ArrayList<>();
    long fastest = Long.MAX_VALUE;
    long smallest = Math.min(SMALLEST_READ_BYTES, blockBytes);
    try (scratch) {
      for (int round = 0; round < rounds; round++) {
        latencies.add(
            nanos(peer, blocks(region.baseAddress(), scratch.address(), smallest, 1), deadline));
        fastest =
            Math.min(
                fastest,
                nanos(
                    peer,
                    blocks(region.baseAddress(), scratch.address(), blockBytes, blocks),
                    deadline));
      }
    }
    latencies.sort(null);
    return new Figures(
        probeBytes,
        Duration.ofNanos(latencies.get(latencies.size() / 2)),
        (long) (probeBytes * 1e9 / Math.max(1, fastest)));
  }

  private static long nanos(Peer peer, Runs runs, Deadline deadline) {
    deadline.check("the measurement");
    long start = deadline.elapsed().toNanos();
    ReadOutcome outcome =
        peer.read(runs, Optional.empty(), deadline.left(Duration.ofHours(1))).join();
    if (outcome instanceof ReadOutcome.Failed failed) {
      throw new AgentRefusal(
          failed.cause() == ReadOutcome.Cause.DEADLINE ? Reason.DEADLINE : Reason.PEER_LOST,
          failed.reason());
    }
    return deadline.elapsed().toNanos() - start;
  }

  private static Runs blocks(long source, long target, long bytes, long count) {
    return () ->
        new RunCursor() {
          private long index = -1;

          @Override
          public boolean next() {
            return ++index < count;
          }

          @Override
          public long sourceAddress() {
            return source + index * bytes;
          }

          @Override
          public long targetAddress() {
            return target + index * bytes;
          }

          @Override
          public long bytes() {
            return bytes;
          }
        };
  }
}
