package dev.millrace.router.choose;

import dev.millrace.router.pools.Worker;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The worker on which the fewest exchanges hold a place.
 *
 * <p>{@code pick = argmin over w of (reserved(w), lastPicked(w))}. Of several the one goes first
 * that was picked longest ago, so that idle workers share the load of a quiet hour. To take turns
 * by a count of picks would not do: it falls into step with whoever else takes turns, such as round
 * robin among prefill workers, when an edge of theirs is not used. Two event loops that pick at the
 * same moment may pick the same worker; the next picks make up for it.
 */
final class LeastActive implements WorkerPolicy {
  private final AtomicLong picks = new AtomicLong();
  private final Map<Worker, Long> lastPicked = new ConcurrentHashMap<>();

  @Override
  public Worker pick(List<Worker> workers) {
    Worker best = workers.getFirst();
    int least = best.reserved();
    for (int i = 1; i < workers.size(); i++) {
      Worker worker = workers.get(i);
      int reserved = worker.reserved();
      if (reserved < least || (reserved == least && lastPicked(worker) < lastPicked(best))) {
        best = worker;
        least = reserved;
      }
    }
    lastPicked.put(best, picks.incrementAndGet());
    return best;
  }

  private long lastPicked(Worker worker) {
    return lastPicked.getOrDefault(worker, 0L);
  }
}
