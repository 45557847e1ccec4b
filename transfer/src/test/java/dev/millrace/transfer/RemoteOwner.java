package dev.millrace.transfer;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;

/** A process that owns patterned memory and can be stopped or killed like any other. */
public final class RemoteOwner implements AutoCloseable {
  private final Process process;
  private final byte[] description;
  private final long address;

  private RemoteOwner(Process process, byte[] description, long address) {
    this.process = process;
    this.description = description;
    this.address = address;
  }

  /** Starts {@code main}, which calls {@link #serve}, in a JVM of its own. */
  public static RemoteOwner launch(Class<?> main, long bytes, long seed) throws IOException {
    Process process =
        new ProcessBuilder(
                List.of(
                    System.getProperty("java.home") + "/bin/java",
                    "-XX:TieredStopAtLevel=1",
                    "-XX:+UseSerialGC",
                    "-cp",
                    System.getProperty("java.class.path"),
                    main.getName(),
                    Long.toString(bytes),
                    Long.toString(seed)))
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    BufferedReader lines =
        new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
    String line = lines.readLine();
    if (line == null || !line.startsWith("READY ")) {
      process.destroyForcibly();
      throw new IOException("the owner's process said: " + line);
    }
    String[] words = line.split(" ", -1);
    return new RemoteOwner(
        process, HexFormat.of().parseHex(words[1]), Long.parseUnsignedLong(words[2]));
  }

  /** The other process's part: until its standard input ends. */
  public static void serve(BlockTransport transport, String[] arguments) throws IOException {
    try (Arena arena = Arena.ofShared();
        transport) {
      var memory =
          Pattern.memory(arena, Long.parseLong(arguments[0]), Long.parseLong(arguments[1]));
      transport.register(memory);
      System.out.println(
          "READY "
              + HexFormat.of().formatHex(transport.describe())
              + " "
              + Long.toUnsignedString(memory.address()));
      while (System.in.read() >= 0) {
        // Only its end means something.
      }
    }
  }

  public byte[] description() {
    return description.clone();
  }

  public long address() {
    return address;
  }

  /** Ends it as the kernel's out-of-memory killer does. */
  public void kill() {
    Signals.kill(process);
  }

  /** Stops it: it lives and keeps its connections, but does nothing. */
  public void freeze() {
    Signals.freeze(process);
  }

  public void thaw() {
    Signals.thaw(process);
  }

  @Override
  public void close() {
    kill();
  }
}
