package dev.millrace.transfer.nixl;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.transfer.Pattern;
import dev.millrace.transfer.Peer;
import dev.millrace.transfer.ReadOutcome;
import dev.millrace.transfer.RunList;
import java.io.IOException;
import java.io.Writer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.HexFormat;
import java.util.Optional;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** What can only be tried where a failed read leaves both sides alive: over shared memory. */
@NixlInstalled
class SharedMemoryHazards {
  private static final long BYTES = 4 << 20;
  private static final Duration LONG = Duration.ofSeconds(30);

  /** A process that frees memory under its peers, and then has other memory. */
  static final class Forgetful {
    private Forgetful() {}

    public static void main(String[] arguments) throws IOException {
      try (NixlTransport transport =
          NixlTransportTest.open("forgetful", NixlTransportTest.SECRET)) {
        for (int seed = 1; ; seed++) {
          // Large enough that freeing it unmaps it.
          Arena arena = Arena.ofShared();
          MemorySegment memory = Pattern.memory(arena, BYTES, seed);
          transport.register(memory);
          System.out.printf(
              "%s %d%n", HexFormat.of().formatHex(transport.describe()), memory.address());
          System.out.flush();
          if (System.in.read() < 0) {
            System.exit(0);
          }
          arena.close();
          System.out.println("FREED");
          System.out.flush();
          if (System.in.read() < 0) {
            System.exit(0);
          }
        }
      }
    }
  }

  @Test
  @DisplayName(
      "lies: after a failed transfer a second load repairs nothing | a new connection does")
  void failedRead_endsTheConnectionAndANewOneWorks() throws Exception {
    Process process =
        new ProcessBuilder(
                System.getProperty("java.home") + "/bin/java",
                "--enable-native-access=ALL-UNNAMED",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                Forgetful.class.getName())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    try (Arena arena = Arena.ofShared();
        NixlTransport reader = NixlTransportTest.open("reader", NixlTransportTest.SECRET);
        var lines = process.inputReader();
        Writer commands = process.outputWriter()) {
      MemorySegment target = Pattern.blank(arena, BYTES);
      reader.register(target);
      String[] first = lines.readLine().split(" ", -1);
      byte[] before = HexFormat.of().parseHex(first[0]);
      MemorySegment source = MemorySegment.ofAddress(Long.parseLong(first[1])).reinterpret(BYTES);
      Peer peer = reader.connect(before, LONG).join();
      RunList runs = RunList.inOrder(64, 65536, source, target);
      assertThat(peer.read(runs, Optional.empty(), LONG).join())
          .isInstanceOf(ReadOutcome.Done.class);
      commands.append('x').flush();
      assertThat(lines.readLine()).isEqualTo("FREED");

      for (int i = 0; i < 2; i++) {
        assertThat(peer.read(runs, Optional.empty(), LONG).join())
            .isInstanceOfSatisfying(
                ReadOutcome.Failed.class,
                failed -> assertThat(failed.cause()).isEqualTo(ReadOutcome.Cause.PEER_LOST));
      }

      commands.append('x').flush();
      String[] second = lines.readLine().split(" ", -1);
      MemorySegment other = MemorySegment.ofAddress(Long.parseLong(second[1])).reinterpret(BYTES);
      Peer again = reader.connect(HexFormat.of().parseHex(second[0]), LONG).join();
      assertThat(
              again.read(RunList.inOrder(64, 65536, other, target), Optional.empty(), LONG).join())
          .isInstanceOf(ReadOutcome.Done.class);
      assertThat(target.mismatch(Pattern.memory(arena, BYTES, 2))).isEqualTo(-1);
      assertThat(process.isAlive()).isTrue();
    } finally {
      process.destroyForcibly().waitFor();
    }
  }
}
