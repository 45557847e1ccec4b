package dev.millrace.transfer.tcp;

import dev.millrace.transfer.ReadOutcome.Cause;
import java.util.Optional;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Something under way that a deadline or a closing peer may stop.
 *
 * <p>Until it touches memory, a stop settles it at once. From then on a stop closes its connection,
 * and the thread that uses the connection settles it when it has left its system call: so nothing
 * is written to memory after the settling.
 */
final class Operation {
  private final Consumer<Wire.Abort> settle;
  private Wire.@Nullable Abort stop;
  private @Nullable Wire wire;
  private boolean touchesMemory;
  private boolean ended;

  /**
   * An operation that has not begun.
   *
   * @param settle called if it is stopped before it touches memory
   */
  Operation(Consumer<Wire.Abort> settle) {
    this.settle = settle;
  }

  /** From now on a stop closes {@code used}. */
  synchronized void use(Wire used) throws ReadFailure {
    if (stop != null) {
      throw new ReadFailure(stop.cause(), stop.reason());
    }
    wire = used;
  }

  /** False if it was stopped before. */
  synchronized boolean touchMemory() {
    touchesMemory = stop == null;
    return touchesMemory;
  }

  /** From now on a stop has no effect on the connection that was used. */
  synchronized void letGo() {
    wire = null;
  }

  synchronized void end() {
    wire = null;
    ended = true;
  }

  synchronized Optional<Wire.Abort> stopped() {
    return Optional.ofNullable(stop);
  }

  void stop(Cause cause, String reason) {
    Wire.Abort why = new Wire.Abort(cause, reason);
    synchronized (this) {
      if (stop != null || ended) {
        return;
      }
      stop = why;
      if (wire != null) {
        wire.abort(cause, reason);
      }
      if (touchesMemory) {
        return;
      }
    }
    settle.accept(why);
  }
}
