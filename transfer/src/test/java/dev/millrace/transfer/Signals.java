package dev.millrace.transfer;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.stream.Stream;

/** What happens to processes from outside. Each call returns when it has happened. */
public final class Signals {
  private static final Duration PATIENCE = Duration.ofSeconds(10);

  private Signals() {}

  /** Ends it as the kernel's out-of-memory killer does. */
  public static void kill(Process process) {
    process.destroyForcibly();
    process.onExit().join();
  }

  /**
   * Stops it: it lives and keeps its connections, but does nothing. Each of its threads stands
   * still then, which the signal reaches one by one.
   */
  public static void freeze(Process process) {
    send("STOP", process);
    long end = System.nanoTime() + PATIENCE.toNanos();
    while (!standsStill(process)) {
      if (System.nanoTime() > end) {
        throw new IllegalStateException("process " + process.pid() + " does not stop");
      }
      Thread.onSpinWait();
    }
  }

  /** What a terminal sends when it goes. */
  public static void hangUp(Process process) {
    send("HUP", process);
  }

  /** Lets it go on. */
  public static void thaw(Process process) {
    send("CONT", process);
  }

  /**
   * Whether the kernel has every thread as stopped (proc(5): state T behind the name in brackets).
   */
  private static boolean standsStill(Process process) {
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

  private static void send(String signal, Process process) {
    try {
      int code =
          new ProcessBuilder("kill", "-" + signal, Long.toString(process.pid())).start().waitFor();
      if (code != 0) {
        throw new IllegalStateException("kill -" + signal + " ended with " + code);
      }
    } catch (IOException e) {
      throw new IllegalStateException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }
}
