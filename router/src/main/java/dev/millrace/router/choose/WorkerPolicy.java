package dev.millrace.router.choose;

import dev.millrace.config.Policy;
import dev.millrace.router.pools.Worker;
import java.util.List;

/** Picks a worker of a pool. Used by all event loops at once. */
public sealed interface WorkerPolicy permits RoundRobin, LeastActive {
  /**
   * The policy's pick.
   *
   * @param workers at least one
   */
  Worker pick(List<Worker> workers);

  /** The policy that a routing table names. */
  static WorkerPolicy of(Policy policy) {
    return switch (policy) {
      case ROUND_ROBIN -> new RoundRobin();
      case LEAST_ACTIVE -> new LeastActive();
    };
  }
}
