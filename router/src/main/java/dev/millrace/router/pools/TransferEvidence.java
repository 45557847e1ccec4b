package dev.millrace.router.pools;

import java.util.Optional;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * What a decode worker's own counters prove about single exchanges.
 *
 * <p>vLLM counts the bytes its connector has read, the time the reads took, and where the tokens of
 * prompts came from, for the engine as a whole ({@code vllm:nixl_bytes_transferred_sum}, {@code
 * vllm:nixl_xfer_time_seconds_sum}, {@code vllm:prompt_tokens_by_source_total}; seen with 0.32.0).
 * Its {@code external_prefix_cache_hits} are no evidence: they count what was promised. The
 * difference between two looks at the counters belongs to an exchange only if its decode leg was
 * the only one that was open at any time between the first look's begin and the second look's end,
 * and it ended before the second look began. Otherwise nothing is claimed.
 *
 * <p>A look is asked for when a leg has ended, and one look serves all legs that ended before it.
 * Event loops report legs from their own threads, so the few fields are guarded by this object's
 * lock, for a handful of instructions each.
 */
public final class TransferEvidence {
  /** Identifies a leg between its begin and its end. */
  public static final class Leg {
    private final Consumer<TransferReport> listener;
    private boolean ended;

    private Leg(Consumer<TransferReport> listener) {
      this.listener = listener;
    }
  }

  /**
   * The counters at one moment.
   *
   * @param bytes bytes read since the engine's start
   * @param seconds time the reads took since then
   * @param loadedTokens of prompts, from other engines; negative where that is not counted
   * @param computedTokens of prompts, by itself; negative where that is not counted
   */
  public record Counters(double bytes, double seconds, double loadedTokens, double computedTokens) {
    private boolean countsTokens() {
      return loadedTokens >= 0 && computedTokens >= 0;
    }
  }

  private static final TransferReport NOT_ALONE =
      new TransferReport.Unknown(TransferReport.Why.NOT_ALONE);

  private @Nullable Counters before;
  private int open;
  private int inWindow;
  private int duringLook;
  private @Nullable Leg alone;
  private boolean looking;
  private boolean lookedOnce;

  /** A decode leg begins; its report comes after it has ended and the counters were looked at. */
  public synchronized Leg begin(Consumer<TransferReport> listener) {
    Leg leg = new Leg(listener);
    open++;
    inWindow++;
    duringLook++;
    if (alone != null && alone.ended) {
      alone.listener.accept(NOT_ALONE);
    }
    alone = inWindow == 1 && !looking ? leg : null;
    return leg;
  }

  /** A decode leg has ended; later calls do nothing. */
  public synchronized void end(Leg leg) {
    if (leg.ended) {
      return;
    }
    leg.ended = true;
    open--;
    if (alone != leg) {
      leg.listener.accept(NOT_ALONE);
    }
  }

  /**
   * Whether a look at the counters is worth its while: nothing is open, and something was, or it is
   * the first.
   */
  public synchronized boolean wantsLook() {
    return !looking && open == 0 && (inWindow > 0 || !lookedOnce);
  }

  /** Begins a look if it is worth its while. {@link #lookEnded} must follow if so. */
  public synchronized boolean lookBegins() {
    if (!wantsLook()) {
      return false;
    }
    looking = true;
    lookedOnce = true;
    duringLook = 0;
    return true;
  }

  /** The counters were read, or could not be: null. */
  public synchronized void lookEnded(@Nullable Counters now) {
    if (alone != null) {
      alone.listener.accept(difference(now));
      alone = null;
    }
    looking = false;
    before = now;
    inWindow = duringLook;
  }

  private TransferReport difference(@Nullable Counters now) {
    if (before == null || now == null || now.bytes < before.bytes) {
      return new TransferReport.Unknown(TransferReport.Why.NOT_REPORTED);
    }
    boolean tokens = before.countsTokens() && now.countsTokens();
    return new TransferReport.Measured(
        Math.round(now.bytes - before.bytes),
        now.seconds - before.seconds,
        tokens
            ? Optional.of(
                new TransferReport.Tokens(
                    Math.round(now.loadedTokens - before.loadedTokens),
                    Math.round(now.computedTokens - before.computedTokens)))
            : Optional.empty());
  }
}
