package dev.millrace.transfer.nixl;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.transfer.Pattern;
import dev.millrace.transfer.Peer;
import dev.millrace.transfer.ReadOutcome;
import dev.millrace.transfer.Registration;
import dev.millrace.transfer.RunList;
import dev.millrace.transfer.TransferException;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.Writer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Blocks and notifications to and from NIXL's own Python package, which is what inference engines
 * use. {@code MILLRACE_NIXL_PYTHON} names a Python that has the packages nixl and numpy.
 */
@NixlInstalled
@Timeout(120)
class NixlPythonTest {
  private static final String VARIABLE = "MILLRACE_NIXL_PYTHON";
  private static final long BYTES = 8 << 20;
  private static final int BLOCK = 4096;
  private static final Duration LONG = Duration.ofSeconds(30);

  /** Binary, with every value. */
  private static final byte[] NOTIFICATION = new byte[256];

  static {
    for (int i = 0; i < NOTIFICATION.length; i++) {
      NOTIFICATION[i] = (byte) i;
    }
  }

  @TempDir static Path folder;

  @BeforeAll
  static void findPython() {
    String why =
        "SKIPPED NixlPythonTest: %s does not name a Python with the packages nixl and numpy"
            .formatted(VARIABLE);
    if (System.getenv(VARIABLE) == null) {
      System.err.println(why);
      Assumptions.abort(why);
    }
  }

  /** The Python process. */
  private static final class PythonAgent implements AutoCloseable {
    final String name = "python-" + UUID.randomUUID();
    final Process process;
    final BufferedReader lines;
    final Writer commands;
    final byte[] metadata;
    final long address;

    PythonAgent(long seed) throws IOException {
      Path script = folder.resolve("agent.py");
      try (InputStream resource =
          Objects.requireNonNull(NixlPythonTest.class.getResourceAsStream("agent.py"))) {
        Files.copy(resource, script, StandardCopyOption.REPLACE_EXISTING);
      }
      process =
          new ProcessBuilder(
                  Objects.requireNonNull(System.getenv(VARIABLE)),
                  script.toString(),
                  name,
                  Long.toString(BYTES),
                  Long.toString(seed))
              .redirectError(ProcessBuilder.Redirect.INHERIT)
              .start();
      lines = process.inputReader();
      commands = process.outputWriter();
      List<String> ready = answer("READY");
      metadata = HexFormat.of().parseHex(ready.get(1));
      address = Long.parseUnsignedLong(ready.get(2));
    }

    List<String> ask(String command, String answer) throws IOException {
      commands.write(command + "\n");
      commands.flush();
      return answer(answer);
    }

    /** NIXL may log to stdout in between. */
    private List<String> answer(String first) throws IOException {
      String line = lines.readLine();
      while (line != null && !line.startsWith(first)) {
        line = lines.readLine();
      }
      return List.of(String.valueOf(line).split(" ", -1));
    }

    EngineDescription describe(String version) {
      return new EngineDescription(
          name, metadata, MemoryKind.DRAM, 0, List.of(new Region(address, BYTES)), version);
    }

    @Override
    public void close() {
      process.destroyForcibly();
      process.onExit().join();
    }
  }

  private static NixlTransport open() {
    return NixlTransport.open(
        NixlInstalled.Library.present(),
        NixlTransportOptions.named("java", NixlTransportTest.SECRET)
            .with(NixlTransportOptions.EngineNotifications.DELIVERED));
  }

  @Test
  void javaReadsPython_everyByteArrivesAndPythonHears() throws Exception {
    try (Arena arena = Arena.ofShared();
        PythonAgent python = new PythonAgent(17);
        NixlTransport java = open()) {
      MemorySegment expected = Pattern.memory(arena, BYTES, 17);
      MemorySegment target = Pattern.blank(arena, BYTES);
      MemorySegment image = Pattern.blank(arena, BYTES);
      MemorySegment source = MemorySegment.ofAddress(python.address).reinterpret(BYTES);
      java.register(target);
      Peer peer = java.connectEngine(python.describe("1.5.1"), LONG).join();

      int blocks = (int) (BYTES / BLOCK);
      RunList shuffled = RunList.scattered(blocks, BLOCK, source, target, 4);
      ReadOutcome outcome = peer.read(shuffled, Optional.of(NOTIFICATION), LONG).join();

      assertThat(outcome).isInstanceOf(ReadOutcome.Done.class);
      RunList.scattered(blocks, BLOCK, expected, target, 4).copy(expected, target, image);
      assertThat(target.mismatch(image)).isEqualTo(-1);
      assertThat(python.ask("HEARD", "HEARD").get(1))
          .isEqualTo(HexFormat.of().formatHex(NOTIFICATION));

      peer.notify(new byte[] {0, 7, 0}, LONG).join();
      assertThat(python.ask("HEARD", "HEARD").get(1)).isEqualTo("000700");
    }
  }

  @Test
  void pythonReadsJava_everyByteArrivesAndJavaHears() throws Exception {
    try (Arena arena = Arena.ofShared();
        PythonAgent python = new PythonAgent(1)) {
      MemorySegment memory = Pattern.memory(arena, BYTES, 23);
      CompletableFuture<String> sender = new CompletableFuture<>();
      CompletableFuture<byte[]> heard = new CompletableFuture<>();
      NixlTransport java = open();
      Registration registration = java.register(memory);
      java.onNotification((from, payload) -> {
        sender.complete(from);
        heard.complete(payload);
      });

      List<String> read =
          python.ask(
              String.join(
                  " ",
                  "READ",
                  HexFormat.of().formatHex(java.engineMetadata()),
                  Long.toUnsignedString(memory.address()),
                  "23",
                  HexFormat.of().formatHex(NOTIFICATION)),
              "READ");

      assertThat(read).containsExactly("READ", "DONE", "0", java.agentName());
      assertThat(heard.get(30, TimeUnit.SECONDS)).isEqualTo(NOTIFICATION);
      assertThat(sender.join()).isEqualTo(python.name);
      assertThatThrownBy(registration::close)
          .as("engines cannot be asked to let go")
          .isInstanceOf(TransferException.class)
          .hasMessageContaining("engines");
      java.close();
      registration.close();
    }
  }

  @Test
  void connectEngine_untriedVersionOrOtherName_isRefused() throws Exception {
    try (PythonAgent python = new PythonAgent(1);
        NixlTransport java = open()) {
      assertThatThrownBy(() -> java.connectEngine(python.describe("1.0.0"), LONG).join())
          .hasCauseInstanceOf(TransferException.class)
          .hasMessageContaining("1.0.0");

      EngineDescription another =
          new EngineDescription("another", python.metadata, MemoryKind.DRAM, 0, List.of(), "1.5.1");
      assertThatThrownBy(() -> java.connectEngine(another, LONG).join())
          .hasCauseInstanceOf(TransferException.class)
          .hasMessageContaining(python.name);
    }
  }
}
