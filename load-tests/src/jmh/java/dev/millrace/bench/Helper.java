package dev.millrace.bench;

import java.io.BufferedReader;
import java.io.IOException;

/** A process beside the one that measures. It says when it is ready, and ends with its input. */
final class Helper implements AutoCloseable {
  private static final String READY = "READY ";

  private final Process process;
  private final String said;

  private Helper(Process process, String said) {
    this.process = process;
    this.said = said;
  }

  static Helper launch(Class<?> main, String... arguments) throws IOException {
    Process process = Jvm.of(main, arguments).start();
    BufferedReader lines = process.inputReader();
    String line = String.valueOf(lines.readLine());
    if (!line.startsWith(READY)) {
      process.destroyForcibly();
      throw new IOException("%s said: %s".formatted(main.getSimpleName(), line));
    }
    return new Helper(process, line.substring(READY.length()));
  }

  /** What it said when it was ready. */
  String said() {
    return said;
  }

  /** Of the process itself: says that it is ready, and waits for the end. */
  static void ready(String what) throws IOException {
    System.out.println(READY + what);
    System.out.flush();
    while (System.in.read() >= 0) {
      // Its end is the end.
    }
  }

  @Override
  public void close() {
    process.destroyForcibly();
    process.onExit().join();
  }
}
