package dev.millrace.router.choose;

import dev.millrace.router.pools.Worker;
import java.util.List;
import java.util.random.RandomGenerator;

/**
 * The less busy one of two workers at random.
 *
 * <p>{@code pick = argmin over {workers[a], workers[b]} of load}, {@code a} and {@code b} uniform
 * and not the same; the first of equals. The busiest worker gets nothing unless another is as busy,
 * and routers that know nothing of one another do not all rush to the idlest. Load is {@link
 * Worker#load}.
 */
final class PowerOfTwo implements WorkerPolicy {
  private final RandomGenerator random;

  PowerOfTwo(RandomGenerator random) {
    this.random = random;
  }

  @Override
  public Worker pick(List<Worker> workers, Traits traits) {
    int count = workers.size();
    int first = random.nextInt(count);
    if (count == 1) {
      return workers.get(first);
    }
    int other = random.nextInt(count - 1);
    Worker a = workers.get(first);
    Worker b = workers.get(other < first ? other : other + 1);
    return b.load() < a.load() ? b : a;
  }
}
