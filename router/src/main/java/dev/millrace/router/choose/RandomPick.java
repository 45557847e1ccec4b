package dev.millrace.router.choose;

import dev.millrace.router.pools.Worker;
import java.util.List;
import java.util.random.RandomGenerator;

/**
 * Any worker.
 *
 * <p>{@code pick = workers[u]}, {@code u} uniform over {@code 0..n-1}. Several routers before the
 * same workers do not fall into step with one another.
 */
final class RandomPick implements WorkerPolicy {
  private final RandomGenerator random;

  RandomPick(RandomGenerator random) {
    this.random = random;
  }

  @Override
  public Worker pick(List<Worker> workers, Traits traits) {
    return workers.get(random.nextInt(workers.size()));
  }
}
