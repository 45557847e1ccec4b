package dev.millrace.transfer;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;

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
    process.destroyForcibly();
    process.onExit().join();
  }

  /**
   * Stops it: it lives and keeps its connections, but does nothing. Returns when each of its
   * threads stands still, since the signal reaches them one by one.
   */
  public void freeze() {
    signal("STOP");
    long end = System.nanoTime() + Duration.ofSeconds(10).toNanos();
    while (!standsStill()) {
      if (System.nanoTime() > end) {
        throw new IllegalStateException("process " + process.pid() + " does not stop");
      }
      Thread.onSpinWait();
    }
  }

  /**
   * Whether the kernel has every thread as stopped (proc(5): state T behind the name in brackets).
   */
  private boolean standsStill() {
    Path threads = Path.of("/proc", Long.toString(process.pid()), "task");
    try (Stream<Path> each = Files.list(threads)) {
      for (Path thread : each.toList()) {
        String stat = Files.readString(thread.resolve("stat"));
        if (stat.charAt(stat.lastIndexOf(')') + 2) != 'T') {
          return false;
        }
      }
      return true;
    } catch (IOException e) {
      // A thread that ended between the listing and the look.
      return false;
    }
  }

  public void thaw() {
    signal("CONT");
  }

  private void signal(String name) {
    try {
      int code =
          new ProcessBuilder("kill", "-" + name, Long.toString(process.pid())).start().waitFor();
      if (code != 0) {
        throw new IllegalStateException("kill -" + name + " ended with " + code);
      }
    } catch (IOException e) {
      throw new IllegalStateException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void close() {
    kill();
  }
}
