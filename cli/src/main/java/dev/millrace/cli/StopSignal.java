package dev.millrace.cli;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Tells a long-running command to close what it opened and to return.
 *
 * <p>For a process it comes with Ctrl-C or SIGTERM. The JVM then ends as soon as its shutdown hooks
 * return, so the hook waits until the command is through, and ends the process with the command's
 * own exit code instead of the signal's.
 */
final class StopSignal {
  private static final Duration CLOSING = Duration.ofSeconds(10);

  private final CountDownLatch given = new CountDownLatch(1);
  private final CountDownLatch ended = new CountDownLatch(1);
  private volatile Duration grace = Duration.ZERO;
  private volatile int exitCode = ExitCode.OUR_FAULT;

  /** The signal of this process. */
  static StopSignal ofProcess() {
    StopSignal signal = new StopSignal();
    Runtime.getRuntime().addShutdownHook(new Thread(signal::stopProcess, "stop"));
    return signal;
  }

  private void stopProcess() {
    give();
    try {
      if (ended.await(grace.plus(CLOSING).toMillis(), TimeUnit.MILLISECONDS)) {
        Runtime.getRuntime().halt(exitCode);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** The command may take so long before it begins to close. */
  void allow(Duration longer) {
    grace = longer;
  }

  /** Asks the command to end. */
  void give() {
    given.countDown();
  }

  /** The same, and ends this process all the same if the command takes too long to end. */
  void giveFinally() {
    give();
    try {
      if (!ended.await(grace.plus(CLOSING).toMillis(), TimeUnit.MILLISECONDS)) {
        Runtime.getRuntime().halt(exitCode);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Waits until somebody asks the command to end. */
  void await() {
    try {
      given.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Says that the command is through and how it ended. */
  void ended(int code) {
    exitCode = code;
    ended.countDown();
  }
}
