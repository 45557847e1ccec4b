package dev.millrace.transfer.nixl;

import dev.millrace.transfer.TransferException;
import java.time.Duration;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The thread that makes all calls that take NIXL's lock exclusively, and those whose order matters:
 * notifications leave in the order they were given, and arrive in the order they were sent.
 *
 * <p>NIXL has no way to wait for a notification. Between tasks the thread asks: every millisecond
 * while something happens, every few when nothing does.
 */
final class ControlLoop {
  private static final Logger LOG = LoggerFactory.getLogger(ControlLoop.class);
  private static final long BUSY_REST_MICROS = 1_000;
  private static final long IDLE_REST_MICROS = 4_000;

  /** So long after the last event the thread counts as idle. */
  private static final int IDLE_AFTER_ROUNDS = 500;

  private final BlockingQueue<Runnable> tasks = new LinkedBlockingQueue<>();
  private final Thread thread;
  private BooleanSupplier receive = () -> false;
  private volatile boolean stopping;
  private volatile boolean ended;

  /** Makes the loop; it does nothing before it is started. */
  ControlLoop(ThreadFactory threads) {
    this.thread = threads.newThread(this::run);
  }

  /**
   * Starts the thread.
   *
   * @param mailbox takes what has arrived; answers whether there was anything
   */
  void start(BooleanSupplier mailbox) {
    receive = mailbox;
    thread.start();
  }

  private void run() {
    int idleRounds = 0;
    while (!stopping) {
      boolean happened = false;
      try {
        Runnable task =
            tasks.poll(
                idleRounds < IDLE_AFTER_ROUNDS ? BUSY_REST_MICROS : IDLE_REST_MICROS,
                TimeUnit.MICROSECONDS);
        while (task != null) {
          happened = true;
          run(task);
          task = tasks.poll();
        }
      } catch (InterruptedException e) {
        // Nobody interrupts this thread but a debugger; stop() has its own flag.
        continue;
      }
      if (stopping) {
        // The last task has closed the agent.
        break;
      }
      try {
        happened |= receive.getAsBoolean();
      } catch (RuntimeException e) {
        LOG.warn("receiving notifications from NIXL failed", e);
      }
      idleRounds = happened ? 0 : idleRounds + 1;
    }
    runAll();
    ended = true;
    // Those that came before they could know.
    runAll();
  }

  private void runAll() {
    for (Runnable task = tasks.poll(); task != null; task = tasks.poll()) {
      run(task);
    }
  }

  private void run(Runnable task) {
    try {
      task.run();
    } catch (RuntimeException e) {
      if (stopping) {
        LOG.debug("a task came after the end of the NIXL transport", e);
      } else {
        LOG.warn("a task of the NIXL transport failed", e);
      }
    }
  }

  /** Runs {@code task} on the thread. After the end it is dropped, and the answer is false. */
  boolean submit(Runnable task) {
    if (ended) {
      return false;
    }
    tasks.add(task);
    // Either the thread takes it still, or it can be taken back.
    return !ended || !tasks.remove(task);
  }

  /** Runs {@code action} on the thread and waits for it, no longer than {@code patience}. */
  <T> T call(String what, Duration patience, Callable<T> action) {
    CompletableFuture<T> answer = new CompletableFuture<>();
    boolean taken =
        submit(() -> {
          try {
            answer.complete(action.call());
          } catch (Exception e) {
            answer.completeExceptionally(e);
          }
        });
    if (!taken) {
      throw new TransferException("the transport is closed");
    }
    return await(what, patience, answer);
  }

  /** Waits for {@code answer}, and makes one exception of all that can go wrong with it. */
  static <T> T await(String what, Duration patience, CompletableFuture<T> answer) {
    try {
      return answer.get(patience.toNanos(), TimeUnit.NANOSECONDS);
    } catch (ExecutionException e) {
      Throwable cause = e.getCause();
      if (cause instanceof TransferException already) {
        throw already;
      }
      throw new TransferException(
          "%s failed: %s".formatted(what, cause == null ? e : cause.getMessage()), e);
    } catch (TimeoutException e) {
      throw new TransferException(
          "%s was not done within %d ms".formatted(what, patience.toMillis()), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new TransferException(what + " was interrupted", e);
    }
  }

  /** Ends the thread after the tasks it has; false if that takes longer than {@code patience}. */
  boolean stop(Duration patience) {
    submit(() -> stopping = true);
    return join(thread, patience);
  }

  /** Waits for a thread to end, through interrupts. */
  static boolean join(Thread thread, Duration patience) {
    long end = System.nanoTime() + patience.toNanos();
    boolean interrupted = false;
    boolean ended = false;
    long left = patience.toNanos();
    while (!ended && left > 0) {
      try {
        ended = thread.join(Duration.ofNanos(left));
      } catch (InterruptedException e) {
        interrupted = true;
      }
      left = end - System.nanoTime();
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    return ended;
  }
}
