package dev.millrace.transfer.agent;

import dev.millrace.transfer.TransferException;
import java.time.Duration;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.LongSupplier;

/** A moment until which a call's virtual thread may wait. */
final class Deadline {
  private final LongSupplier nanoClock;
  private final long startNanos;
  private final Duration whole;

  Deadline(LongSupplier nanoClock, Duration whole) {
    this.nanoClock = nanoClock;
    this.startNanos = nanoClock.getAsLong();
    this.whole = whole;
  }

  /** Time since it was set. */
  Duration elapsed() {
    return Duration.ofNanos(nanoClock.getAsLong() - startNanos);
  }

  /** Time left, at most {@code most} and at least a millisecond. */
  Duration left(Duration most) {
    Duration left = whole.minus(elapsed());
    Duration shorter = left.compareTo(most) < 0 ? left : most;
    return shorter.toMillis() < 1 ? Duration.ofMillis(1) : shorter;
  }

  /** Fails once it has passed. */
  void check(String what) {
    if (elapsed().compareTo(whole) >= 0) {
      throw passed(what);
    }
  }

  AgentRefusal passed(String what) {
    return new AgentRefusal(
        Reason.DEADLINE, "%s was not done within %d ms".formatted(what, whole.toMillis()));
  }

  /**
   * The result of something that has a deadline of its own.
   *
   * @param failed the reason if it fails
   * @param what for the message
   */
  <T> T await(CompletableFuture<T> future, Reason failed, String what) {
    try {
      // A little more than it allows itself, so that its own message is heard.
      return future.get(left(whole).toMillis() + 200, TimeUnit.MILLISECONDS);
    } catch (TimeoutException e) {
      throw passed(what);
    } catch (ExecutionException e) {
      throw refusal(e, failed, what);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AgentRefusal(Reason.CLOSED, "the agent is ending");
    } catch (CancellationException e) {
      throw new AgentRefusal(Reason.CANCELLED, what + " was cancelled");
    }
  }

  private static AgentRefusal refusal(ExecutionException e, Reason failed, String what) {
    Throwable cause = e.getCause();
    while (cause instanceof CompletionException && cause.getCause() != null) {
      cause = cause.getCause();
    }
    if (cause instanceof AgentRefusal refusal) {
      return refusal;
    }
    if (cause instanceof OutOfMemoryError) {
      return new AgentRefusal(
          Reason.MEMORY_FULL, "the agent has no memory left: " + cause.getMessage());
    }
    return new AgentRefusal(
        failed,
        cause instanceof TransferException
            ? String.valueOf(cause.getMessage())
            : what + " failed: " + cause);
  }
}
