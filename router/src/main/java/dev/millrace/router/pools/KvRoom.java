package dev.millrace.router.pools;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * How much of a decode worker's KV cache, and how many of the streams that it runs at a time, are
 * spoken for. Shared by all event loops.
 *
 * <p>An exchange has room if {@code ours + others + needed <= percent/100 · total} and {@code
 * streams < most}. {@code total} is what the engine says of its cache (vLLM 0.32.0, {@code
 * vllm:cache_config_info}: {@code num_gpu_blocks · block_size}), in tokens. {@code ours} is what
 * exchanges under way were given, from before their prefill to their end. {@code others} is what
 * the engine's last {@code vllm:kv_cache_usage_perc} has above that: prompts of other routers, and
 * answers that have become longer than was thought. An engine that has nothing of ours takes any
 * prompt, or one that is as large as its cache would wait for ever.
 *
 * <p>No metric tells how many streams an engine runs at most ({@code --max-num-seqs}). It has as
 * many as it can while requests wait for capacity ({@code vllm:num_requests_waiting_by_reason}) in
 * two looks, one after the other: then {@code most} becomes {@code running}. As long as none waits,
 * {@code most} grows by a quarter with each look that finds it reached.
 *
 * <p>Two event loops that look at the same moment may both find room for one; the next exchange
 * makes up for it.
 */
public final class KvRoom {
  private static final int NO_BOUND = Integer.MAX_VALUE;

  private final AtomicLong ours = new AtomicLong();
  private final AtomicInteger streams = new AtomicInteger();
  private volatile int percent;
  private volatile long total;
  private volatile long others;
  private volatile int mostStreams = NO_BOUND;
  private boolean waitedBefore;

  KvRoom(int percent) {
    this.percent = percent;
  }

  /**
   * What an engine shows of itself at a moment.
   *
   * @param usedShare of its KV cache, {@code 0..1}
   * @param running requests that are in its batch
   * @param waiting requests that wait for a place in it, or for blocks
   */
  public record Look(double usedShare, int running, int waiting) {}

  /** From now on another share of the cache may be given away. */
  void become(int newPercent) {
    percent = newPercent;
  }

  /** The size of its cache in tokens is known, or 0: it is not, and there is room for anything. */
  public void sized(long tokens) {
    if (tokens != total) {
      others = 0;
      mostStreams = NO_BOUND;
    }
    total = tokens;
  }

  /** The engine was looked at; by one thread. */
  public void looked(Look look) {
    long used = Math.round(look.usedShare() * total);
    others = Math.max(0, used - ours.get());
    int most = mostStreams;
    boolean waits = look.waiting() > 0 && look.running() > 0;
    if (waits && waitedBefore) {
      mostStreams = look.running();
    } else if (!waits && most != NO_BOUND && look.running() >= most) {
      mostStreams = most + 1 + most / 4;
    }
    waitedBefore = waits;
  }

  /** Whether an exchange that needs so many tokens of cache has room. */
  public boolean has(long tokens) {
    long bound = total * percent / 100;
    long given = ours.get();
    return given == 0
        || (streams.get() < mostStreams && (total == 0 || given + others + tokens <= bound));
  }

  /** Gives so many tokens to an exchange. */
  public void take(long tokens) {
    ours.addAndGet(tokens);
    streams.incrementAndGet();
  }

  /** An exchange needs more tokens than was thought or, below zero, fewer. */
  public void correct(long tokens) {
    ours.addAndGet(tokens);
  }

  /** An exchange gives back what it had. */
  public void giveBack(long tokens) {
    ours.addAndGet(-tokens);
    streams.decrementAndGet();
  }

  /**
   * It at a moment.
   *
   * @param total tokens in the cache; 0 if that is not known
   * @param reserved tokens that exchanges of this router have
   * @param others tokens that are in use beside those
   * @param mostStreams how many exchanges it is given at most; 0 if no bound is known
   */
  public record View(long total, long reserved, long others, int mostStreams) {}

  /** How it is now. */
  public View view() {
    int most = mostStreams;
    return new View(total, ours.get(), others, most == NO_BOUND ? 0 : most);
  }
}
