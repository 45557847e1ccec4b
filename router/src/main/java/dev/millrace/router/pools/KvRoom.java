package dev.millrace.router.pools;

import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;

/**
 * How much of a decode worker's KV cache, and how many of the streams that it runs at a time, are
 * spoken for. Shared by all event loops.
 *
 * <p>An exchange has room if {@code given + needed <= percent/100 · total} and {@code streams <
 * most}. {@code total} is what the engine says of its cache (vLLM 0.32.0, {@code
 * vllm:cache_config_info}: {@code num_gpu_blocks · block_size}), in tokens. Of what is given away
 * there are two bounds from above, and the lower one counts:
 *
 * <pre>
 *   ours + others       what exchanges under way need, and what the last look found beyond that
 *   used + unseen       what the last look found, and what is needed by those that came since
 * </pre>
 *
 * The first one falls as soon as an exchange ends, but counts a beginning that prompts share once
 * for each of them; the second one does not, but knows of ends only by the next look ({@code
 * vllm:kv_cache_usage_perc}). An engine that has nothing of ours takes any prompt, or one that is
 * as large as its cache would wait for ever.
 *
 * <p>No metric tells how many streams an engine runs at most ({@code --max-num-seqs}). It has as
 * many as it can while requests wait for capacity ({@code vllm:num_requests_waiting_by_reason}) in
 * two looks, one after the other: then {@code most} becomes {@code running}. As long as none waits,
 * {@code most} grows by a quarter with each look that finds it reached.
 *
 * <p>Two event loops that look at the same moment may both find room for one; the next exchange
 * makes up for it. The lock is held for a few instructions, and not to find out whether there is
 * room.
 */
public final class KvRoom {
  private static final int NO_BOUND = Integer.MAX_VALUE;

  private final ReentrantLock lock = new ReentrantLock();
  private final AtomicLong ours = new AtomicLong();
  private final AtomicLong unseen = new AtomicLong();
  private final AtomicLong streams = new AtomicLong();
  private volatile int percent;
  private volatile long total;
  private volatile long used;
  private volatile long others;
  private volatile int mostStreams = NO_BOUND;
  private boolean waitedBefore;

  /** Tokens of those that have arrived since the last look began, and since the one before. */
  private long arrivedLately;

  private long arrivedBefore;
  private long looks;

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
      used = 0;
      mostStreams = NO_BOUND;
    }
    total = tokens;
  }

  /** The engine is about to be looked at; what has arrived by now will be seen. */
  public void lookBegins() {
    lock.lock();
    try {
      looks++;
      arrivedBefore += arrivedLately;
      arrivedLately = 0;
    } finally {
      lock.unlock();
    }
  }

  /** The engine was looked at; by the thread that began. */
  public void looked(Look look) {
    lock.lock();
    try {
      unseen.addAndGet(-arrivedBefore);
      arrivedBefore = 0;
      used = Math.round(look.usedShare() * total);
      others = Math.max(0, used - ours.get());
    } finally {
      lock.unlock();
    }
    countStreams(look);
  }

  private void countStreams(Look look) {
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
    long need = ours.get();
    return need == 0
        || (streams.get() < mostStreams
            && (total == 0 || Math.min(need + others, used + unseen.get()) + tokens <= bound));
  }

  /** Tokens that exchanges under way need. */
  public long needed() {
    return ours.get();
  }

  /** Gives so many tokens to an exchange. */
  public Share take(long tokens) {
    ours.addAndGet(tokens);
    unseen.addAndGet(tokens);
    streams.incrementAndGet();
    return new Share(this, tokens);
  }

  /** What an exchange was given. Owned by its event loop. */
  public static final class Share {
    private static final long NOT_YET = -1;
    private final KvRoom room;
    private long tokens;
    private long arrivedAtLook = NOT_YET;

    private Share(KvRoom room, long tokens) {
      this.room = room;
      this.tokens = tokens;
    }

    /** So many tokens are needed, as is known by now; before it has arrived. */
    public void become(long newTokens) {
      room.ours.addAndGet(newTokens - tokens);
      room.unseen.addAndGet(newTokens - tokens);
      tokens = newTokens;
    }

    /** The engine has them in its cache; later calls do nothing. */
    public void arrived() {
      if (arrivedAtLook == NOT_YET) {
        arrivedAtLook = room.arrived(tokens);
      }
    }

    /** Gives it back, once. */
    public void giveBack() {
      room.back(tokens, arrivedAtLook);
    }
  }

  private long arrived(long tokens) {
    lock.lock();
    try {
      arrivedLately += tokens;
      return looks;
    } finally {
      lock.unlock();
    }
  }

  private void back(long tokens, long arrivedAtLook) {
    lock.lock();
    try {
      ours.addAndGet(-tokens);
      streams.decrementAndGet();
      if (arrivedAtLook == Share.NOT_YET) {
        unseen.addAndGet(-tokens);
      } else if (arrivedAtLook == looks) {
        unseen.addAndGet(-tokens);
        arrivedLately -= tokens;
      }
    } finally {
      lock.unlock();
    }
  }

  /**
   * It at a moment.
   *
   * @param total tokens in the cache; 0 if that is not known
   * @param reserved tokens that exchanges of this router need
   * @param used tokens that were in use at the last look
   * @param unseen tokens that are needed by those that have come since
   * @param mostStreams how many exchanges it is given at most; 0 if no bound is known
   */
  public record View(long total, long reserved, long used, long unseen, int mostStreams) {}

  /** How it is now. */
  public View view() {
    int most = mostStreams;
    return new View(total, ours.get(), used, unseen.get(), most == NO_BOUND ? 0 : most);
  }
}
