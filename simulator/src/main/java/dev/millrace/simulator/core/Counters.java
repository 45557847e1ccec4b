package dev.millrace.simulator.core;

import java.util.concurrent.atomic.AtomicLong;

/**
 * Counts that only rise, for metrics and {@code stats}. Written from the event loop and workers.
 */
public final class Counters {
  /** Prompt tokens of all generations that got their prompt. */
  public final AtomicLong promptTokens = new AtomicLong();

  /** Prompt tokens computed here. */
  public final AtomicLong computedTokens = new AtomicLong();

  /** Prompt tokens found in the prefix cache. */
  public final AtomicLong cachedTokens = new AtomicLong();

  /** Prompt tokens loaded from another engine. */
  public final AtomicLong loadedTokens = new AtomicLong();

  /** Prompt tokens that another engine promised, loaded or not. */
  public final AtomicLong promisedTokens = new AtomicLong();

  /** Tokens said. */
  public final AtomicLong generationTokens = new AtomicLong();

  /** Generations that ended at their limit. */
  public final AtomicLong endedByLength = new AtomicLong();

  /** Generations that ended at a stop string. */
  public final AtomicLong endedByStop = new AtomicLong();

  /** Generations whose client left. */
  public final AtomicLong endedByAbort = new AtomicLong();

  /** Generations that failed. */
  public final AtomicLong endedByError = new AtomicLong();

  /** Hand-offs that could not be loaded. */
  public final AtomicLong failedTransfers = new AtomicLong();

  /** Notifications that could not be delivered. */
  public final AtomicLong failedNotifications = new AtomicLong();

  /** Hand-offs whose lease ended before all readers had come. */
  public final AtomicLong expiredHandoffs = new AtomicLong();

  /** Notifications for hand-offs that had already expired. */
  public final AtomicLong lateNotifications = new AtomicLong();

  /** Leases that a decode engine has asked to extend. */
  public final AtomicLong heartbeats = new AtomicLong();

  /** Hand-offs that ended because all readers had come. */
  public final AtomicLong releasedHandoffs = new AtomicLong();
}
