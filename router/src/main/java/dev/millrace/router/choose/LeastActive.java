package dev.millrace.router.choose;

import dev.millrace.router.pools.KvRoom;
import dev.millrace.router.pools.Worker;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The worker with the least {@linkplain Worker#load load}: bytes of prompts under way on prefill
 * workers, else exchanges.
 *
 * <p>{@code pick = argmin over w of (load(w), kv(w), lastPicked(w))}, where {@code kv} is what
 * exchanges need of a decode worker's {@linkplain KvRoom cache}: of two with as many streams the
 * one with the shorter prompts. Of several the one goes first that was picked longest ago, so that
 * idle workers share the load of a quiet hour. To take turns by a count of picks would not do: it
 * falls into step with whoever else takes turns, such as round robin among prefill workers, when an
 * edge of theirs is not used. Two event loops that pick at the same moment may pick the same
 * worker; the next picks make up for it.
 */
final class LeastActive implements WorkerPolicy {
  private final AtomicLong picks = new AtomicLong();
  private final Map<Worker, Long> lastPicked = new ConcurrentHashMap<>();

  @Override
  public Worker pick(List<Worker> workers, Traits traits) {
    Worker best = workers.getFirst();
    for (int i = 1; i < workers.size(); i++) {
      Worker worker = workers.get(i);
      if (isBefore(worker, best)) {
        best = worker;
      }
    }
    lastPicked.put(best, picks.incrementAndGet());
    return best;
  }

  private boolean isBefore(Worker worker, Worker best) {
    int byLoad = Long.compare(worker.load(), best.load());
    int order =
        byLoad != 0 ? byLoad : Long.compare(worker.kvRoom().needed(), best.kvRoom().needed());
    return order < 0 || (order == 0 && lastPicked(worker) < lastPicked(best));
  }

  private long lastPicked(Worker worker) {
    return lastPicked.getOrDefault(worker, 0L);
  }
}
