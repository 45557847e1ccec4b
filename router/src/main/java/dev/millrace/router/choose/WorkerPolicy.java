package dev.millrace.router.choose;

import dev.millrace.config.Stage;
import dev.millrace.router.pools.Worker;
import java.util.List;
import java.util.random.RandomGenerator;

/** Picks a worker of a pool. Used by all event loops at once. */
public sealed interface WorkerPolicy
    permits RoundRobin, LeastActive, RandomPick, PowerOfTwo, SessionAffinity, PrefixAffinity {
  /**
   * The policy's pick.
   *
   * @param workers at least one
   * @param traits of the request that goes there
   */
  Worker pick(List<Worker> workers, Traits traits);

  /** Bytes of a prompt that the worker knows already which it would pick, as far as it can tell. */
  default long knownBytes(List<Worker> workers, Traits traits) {
    return 0;
  }

  /** A request goes to a worker, whoever picked it. */
  default void sent(Worker worker, Traits traits) {}

  /**
   * The policy that a stage of a routing table names.
   *
   * @param random may be used by several threads
   */
  static WorkerPolicy of(Stage stage, RandomGenerator random) {
    return switch (stage.policy()) {
      case ROUND_ROBIN -> new RoundRobin();
      case LEAST_ACTIVE -> new LeastActive();
      case RANDOM -> new RandomPick(random);
      case POWER_OF_TWO -> new PowerOfTwo(random);
      case SESSION_AFFINITY ->
          new SessionAffinity(stage.session().orElseThrow(), stage.balancePercent());
      case PREFIX_AFFINITY -> new PrefixAffinity(stage.balancePercent());
    };
  }
}
