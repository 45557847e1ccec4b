package dev.millrace.transfer.nixl;

import dev.millrace.layout.Runs;
import dev.millrace.transfer.Peer;
import dev.millrace.transfer.ReadOutcome;
import dev.millrace.transfer.RunList;
import dev.millrace.transfer.Signals;
import java.io.BufferedReader;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;

/** A process that reads an owner's memory again and again, and can be stopped or killed. */
final class RemoteReader implements AutoCloseable {
  private static final Duration PATIENCE = Duration.ofSeconds(30);

  private final Process process;
  private final BufferedReader lines;

  private RemoteReader(Process process) {
    this.process = process;
    this.lines = process.inputReader();
  }

  static RemoteReader launch(byte[] description, long address, long bytes) throws IOException {
    RemoteReader reader =
        new RemoteReader(
            new ProcessBuilder(
                    List.of(
                        System.getProperty("java.home") + "/bin/java",
                        "--enable-native-access=ALL-UNNAMED",
                        "-XX:TieredStopAtLevel=1",
                        "-XX:+UseSerialGC",
                        "-cp",
                        System.getProperty("java.class.path"),
                        RemoteReader.class.getName(),
                        HexFormat.of().formatHex(description),
                        Long.toUnsignedString(address),
                        Long.toString(bytes)))
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start());
    String first = reader.line();
    if (!first.equals("READING")) {
      reader.close();
      throw new IOException("the reader's process said: " + first);
    }
    return reader;
  }

  /** What the process says next. */
  String line() throws IOException {
    return String.valueOf(lines.readLine());
  }

  /** The process itself, to be stopped or killed. */
  Process process() {
    return process;
  }

  @Override
  public void close() {
    Signals.kill(process);
  }

  public static void main(String[] arguments) {
    byte[] description = HexFormat.of().parseHex(arguments[0]);
    long bytes = Long.parseLong(arguments[2]);
    try (Arena arena = Arena.ofShared();
        NixlTransport transport =
            NixlTransportTest.open("remote-reader", NixlTransportTest.SECRET)) {
      MemorySegment source =
          MemorySegment.ofAddress(Long.parseUnsignedLong(arguments[1])).reinterpret(bytes);
      MemorySegment target = arena.allocate(bytes);
      transport.register(target);
      Peer peer = transport.connect(description, PATIENCE).join();
      Runs runs = RunList.inOrder((int) (bytes / 4096), 4096, source, target);
      ReadOutcome outcome = peer.read(runs, Optional.empty(), PATIENCE).join();
      System.out.println(outcome instanceof ReadOutcome.Done ? "READING" : outcome.toString());
      while (outcome instanceof ReadOutcome.Done) {
        outcome = peer.read(runs, Optional.empty(), PATIENCE).join();
      }
      System.out.println(((ReadOutcome.Failed) outcome).cause());
    }
    System.exit(0);
  }
}
