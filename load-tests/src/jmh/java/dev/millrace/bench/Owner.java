package dev.millrace.bench;

import dev.millrace.transfer.BlockTransport;
import dev.millrace.transfer.nixl.NixlTransport;
import java.io.BufferedReader;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.HexFormat;

/** A process whose memory is read. */
final class Owner implements AutoCloseable {
  private final Process process;
  private final String[] said;

  private Owner(Process process, String[] said) {
    this.process = process;
    this.said = said;
  }

  static Owner launch(String kind, long bytes) throws IOException {
    Process process = Jvm.of(Owner.class, kind, Long.toString(bytes)).start();
    BufferedReader lines = process.inputReader();
    String line = String.valueOf(lines.readLine());
    if (!line.startsWith("READY ")) {
      process.destroyForcibly();
      throw new IOException("the owner said: " + line);
    }
    return new Owner(process, line.split(" ", -1));
  }

  byte[] description() {
    return HexFormat.of().parseHex(said[1]);
  }

  long address() {
    return Long.parseUnsignedLong(said[2]);
  }

  /** As NIXL's own Python package wants it. */
  String metadata() {
    return said[3];
  }

  @Override
  public void close() {
    process.destroyForcibly();
    process.onExit().join();
  }

  public static void main(String[] arguments) throws IOException {
    long bytes = Long.parseLong(arguments[1]);
    try (Arena arena = Arena.ofShared();
        BlockTransport transport = Transports.open(arguments[0], "owner")) {
      MemorySegment memory = Memory.filled(arena, bytes);
      var _ = transport.register(memory);
      System.out.printf(
          "READY %s %s %s%n",
          HexFormat.of().formatHex(transport.describe()),
          Long.toUnsignedString(memory.address()),
          transport instanceof NixlTransport nixl
              ? HexFormat.of().formatHex(nixl.engineMetadata())
              : "-");
      System.out.flush();
      while (System.in.read() >= 0) {
        // Its end is the end.
      }
    }
  }
}
