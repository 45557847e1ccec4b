package dev.millrace.router.choose;

import dev.millrace.router.pools.Worker;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * One worker after the other.
 *
 * <p>{@code pick(k) = workers[k mod n]} for the k-th pick since the start, over all event loops.
 */
final class RoundRobin implements WorkerPolicy {
  private final AtomicInteger picks = new AtomicInteger();

  @Override
  public Worker pick(List<Worker> workers, Traits traits) {
    return workers.get(Integer.remainderUnsigned(picks.getAndIncrement(), workers.size()));
  }
}
