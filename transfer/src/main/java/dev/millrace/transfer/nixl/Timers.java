package dev.millrace.transfer.nixl;

import java.time.Duration;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.TimeUnit;

/** Deadlines, on a thread that no native call can hold up. */
final class Timers implements AutoCloseable {
  /** Longer deadlines are cut to this, so that no sum of nanoseconds overflows. */
  private static final Duration LONGEST = Duration.ofDays(1000);

  private final ScheduledThreadPoolExecutor thread;

  Timers(ThreadFactory threads) {
    thread = new ScheduledThreadPoolExecutor(1, threads);
    thread.setRemoveOnCancelPolicy(true);
  }

  /** A deadline with which one can count. */
  static Duration bounded(Duration deadline) {
    return deadline.compareTo(LONGEST) > 0 ? LONGEST : deadline;
  }

  /** Runs {@code action} in a while, unless it is cancelled or all is closed before. */
  Runnable after(Duration delay, Runnable action) {
    try {
      var timer = thread.schedule(action, delay.toNanos(), TimeUnit.NANOSECONDS);
      return () -> timer.cancel(false);
    } catch (RejectedExecutionException e) {
      return () -> {};
    }
  }

  @Override
  public void close() {
    thread.shutdownNow();
  }
}
