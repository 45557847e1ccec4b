package dev.millrace.transfer.nixl;

import dev.millrace.layout.RunCursor;
import dev.millrace.layout.Runs;
import dev.millrace.transfer.Peer;
import dev.millrace.transfer.ReadOutcome;
import dev.millrace.transfer.SharedSecret;
import dev.millrace.transfer.TransferException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/**
 * What {@link NixlDoctor} runs in a process of its own, as NIXL may crash it: opens the library and
 * lets one agent read another one's memory. Says what it has done as it goes.
 */
final class DoctorProbe {
  /** Starts every line of stdout that is meant for the doctor. */
  static final String PREFIX = "nixl-doctor ";

  private static final int BLOCKS = 256;
  private static final long BLOCK_BYTES = 4096;
  private static final Duration PATIENCE = Duration.ofSeconds(10);

  private DoctorProbe() {}

  public static void main(String[] arguments) {
    switch (Nixl.load(NixlSettings.DEFAULT)) {
      case Nixl.Absent(String reason, String remedy) -> {
        say("absent", reason);
        say("remedy", remedy);
      }
      case Nixl.Present nixl -> {
        say("version", nixl.version());
        say(
            "symbols",
            nixl.symbols().found() + " functions, C API of NIXL " + nixl.symbols().generation());
        try {
          loopback(nixl);
        } catch (CompletionException | TransferException e) {
          say("failed", String.valueOf(e.getMessage()));
        }
      }
    }
    System.exit(0);
  }

  private static void say(String key, String value) {
    System.out.println(PREFIX + key + " " + value.replace('\n', ' '));
    System.out.flush();
  }

  private static void loopback(Nixl.Present nixl) {
    long bytes = BLOCKS * BLOCK_BYTES;
    SharedSecret secret = SharedSecret.random(new SecureRandom());
    long start = System.nanoTime();
    try (Arena arena = Arena.ofShared();
        NixlTransport owner =
            NixlTransport.open(nixl, NixlTransportOptions.named("doctor-owner", secret));
        NixlTransport reader =
            NixlTransport.open(nixl, NixlTransportOptions.named("doctor-reader", secret))) {
      say("plugins", String.join(" ", owner.plugins()));
      say("agents", "two agents started in %d ms".formatted(millisSince(start)));
      MemorySegment source = arena.allocate(bytes, 4096);
      MemorySegment target = arena.allocate(bytes, 4096);
      for (long at = 0; at < bytes; at += Long.BYTES) {
        source.set(ValueLayout.JAVA_LONG, at, (at + 1) * 0x9e3779b97f4a7c15L);
      }
      owner.register(source);
      reader.register(target);
      CompletableFuture<byte[]> heard = new CompletableFuture<>();
      owner.onNotification((_, payload) -> heard.complete(payload));
      byte[] description = owner.describe();
      say("describe", description.length + " bytes describe an agent");
      Peer peer = reader.connect(description, PATIENCE).join();
      say("connect", "an agent connected to the other one");
      byte[] notification = {0, 1, (byte) 0xff};
      ReadOutcome outcome =
          peer.read(backwards(source, target), Optional.of(notification), PATIENCE).join();
      switch (outcome) {
        case ReadOutcome.Failed(_, String reason, _) -> say("failed", reason);
        case ReadOutcome.Done(_, _, Duration took) -> {
          say(isBackwards(source, target) ? "content" : "failed", content(source, target));
          NixlStatistics statistics = reader.statistics();
          say(
              "loopback",
              "%d bytes in %d descriptors of %d requests by NIXL's telemetry, %d us"
                  .formatted(
                      statistics.bytes(),
                      statistics.descriptors(),
                      statistics.requests(),
                      took.toNanos() / 1000));
        }
      }
    }
    say("end", "agents stopped");
  }

  /** The blocks in reverse, so that neither side is contiguous with the other. */
  private static Runs backwards(MemorySegment source, MemorySegment target) {
    return () ->
        new RunCursor() {
          private int block = -1;

          @Override
          public boolean next() {
            return ++block < BLOCKS;
          }

          @Override
          public long sourceAddress() {
            return source.address() + (BLOCKS - 1 - block) * BLOCK_BYTES;
          }

          @Override
          public long targetAddress() {
            return target.address() + block * BLOCK_BYTES;
          }

          @Override
          public long bytes() {
            return BLOCK_BYTES;
          }
        };
  }

  private static boolean isBackwards(MemorySegment source, MemorySegment target) {
    for (int block = 0; block < BLOCKS; block++) {
      MemorySegment from = source.asSlice((BLOCKS - 1 - block) * BLOCK_BYTES, BLOCK_BYTES);
      if (from.mismatch(target.asSlice(block * BLOCK_BYTES, BLOCK_BYTES)) >= 0) {
        return false;
      }
    }
    return true;
  }

  private static String content(MemorySegment source, MemorySegment target) {
    return isBackwards(source, target)
        ? "every byte of %d blocks arrived in its place".formatted(BLOCKS)
        : "bytes arrived in wrong places";
  }

  private static long millisSince(long startNanos) {
    return (System.nanoTime() - startNanos) / 1_000_000;
  }
}
