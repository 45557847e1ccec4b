package dev.millrace.router.choose;

import dev.millrace.config.Role;
import dev.millrace.router.pools.Breaker;
import dev.millrace.router.pools.KvRoom;
import dev.millrace.router.pools.Worker;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/** A place on a worker. Owned by the event loop of its exchange; released once. */
public final class Reservation {
  private final Worker worker;
  private final long promptBytes;
  private final AtomicInteger gauge;
  private final Breaker.Entry entry;
  private final KvRoom.@Nullable Share kv;
  private boolean held = true;

  /**
   * A place from now on.
   *
   * @param kvTokens of the worker's KV cache, if it decodes
   * @param entry how the worker's breaker let it in
   */
  Reservation(
      Worker worker, long promptBytes, long kvTokens, AtomicInteger gauge, Breaker.Entry entry) {
    this.entry = entry;
    this.worker = worker;
    this.promptBytes = promptBytes;
    this.kv = worker.role() == Role.PREFILL ? null : worker.kvRoom().take(kvTokens);
    this.gauge = gauge;
    worker.reserve(promptBytes);
    gauge.incrementAndGet();
  }

  /** The worker that has the place. */
  public Worker worker() {
    return worker;
  }

  /** So many tokens of the worker's KV cache are needed, as is known by now. */
  public void needs(long tokens) {
    if (held && kv != null) {
      kv.become(tokens);
    }
  }

  /** The worker has what the exchange needs in its KV cache. */
  public void arrived() {
    if (held && kv != null) {
      kv.arrived();
    }
  }

  /** Gives the place back; later calls do nothing. */
  public void release() {
    if (held) {
      held = false;
      worker.unreserve(promptBytes);
      if (kv != null) {
        kv.giveBack();
      }
      gauge.decrementAndGet();
      if (entry == Breaker.Entry.TRIAL) {
        worker.breaker().trialOver();
      }
    }
  }
}
