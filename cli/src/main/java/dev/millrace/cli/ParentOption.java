package dev.millrace.cli;

import java.io.IOException;
import java.io.InputStream;
import picocli.CommandLine.Option;

/**
 * The flag by which a command ends with the process that started it, however that one ends: the
 * kernel closes a pipe when the last process that holds its other end is gone.
 */
final class ParentOption {
  private static final int IGNORED_AT_ONCE = 1024;

  @Option(
      names = "--until-stdin-closes",
      description =
          "End when standard input ends, as it does with whoever started this as a child.")
  private boolean untilStdinCloses;

  ParentOption() {}

  /** Watches standard input, if that is asked for. */
  void watch(StopSignal stop) {
    if (untilStdinCloses) {
      Thread.ofPlatform().daemon().name("stdin").start(() -> giveAtEnd(System.in, stop));
    }
  }

  private static void giveAtEnd(InputStream input, StopSignal stop) {
    try {
      while (input.read(new byte[IGNORED_AT_ONCE]) >= 0) {
        // What is typed means nothing.
      }
    } catch (IOException e) {
      // As good as its end.
    }
    stop.giveFinally();
  }
}
