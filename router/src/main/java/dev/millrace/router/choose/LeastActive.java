package dev.millrace.router.choose;

import dev.millrace.router.pools.Worker;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;

/**
 * The worker on which the fewest exchanges hold a place.
 *
 * <p>{@code pick = argmin over w of reserved(w)}. Ties are drawn by lot, so that idle workers share
 * the load of a quiet hour; to take them in turn would fall into step with whoever else takes
 * turns, such as round robin among prefill workers. Two event loops that pick at the same moment
 * may pick the same worker; the next picks make up for it.
 */
final class LeastActive implements WorkerPolicy {
  @Override
  public Worker pick(List<Worker> workers) {
    int size = workers.size();
    int first = ThreadLocalRandom.current().nextInt(size);
    Worker best = workers.get(first);
    int least = best.reserved();
    for (int i = 1; i < size; i++) {
      Worker worker = workers.get((first + i) % size);
      int reserved = worker.reserved();
      if (reserved < least) {
        best = worker;
        least = reserved;
      }
    }
    return best;
  }
}
