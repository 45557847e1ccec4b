package dev.millrace.router.choose;

import dev.millrace.config.Policy;
import dev.millrace.router.pools.Worker;
import java.util.List;
import java.util.random.RandomGenerator;

/** Picks a worker of a pool. Used by all event loops at once. */
public sealed interface WorkerPolicy permits RoundRobin, LeastActive, RandomPick, PowerOfTwo {
  /**
   * The policy's pick.
   *
   * @param workers at least one
   */
  Worker pick(List<Worker> workers);

  /**
   * The policy that a routing table names.
   *
   * @param random may be used by several threads
   */
  static WorkerPolicy of(Policy policy, RandomGenerator random) {
    return switch (policy) {
      case ROUND_ROBIN -> new RoundRobin();
      case LEAST_ACTIVE -> new LeastActive();
      case RANDOM -> new RandomPick(random);
      case POWER_OF_TWO -> new PowerOfTwo(random);
    };
  }
}
