package dev.millrace.config;

import java.util.Optional;

/**
 * Where one leg of an exchange goes.
 *
 * @param pool name of the pool
 * @param policy how a worker of it is chosen
 * @param session where requests name theirs; there for {@link Policy#SESSION_AFFINITY} and no other
 * @param preferSame label of which a decode worker had better have the prefill worker's value
 * @param balancePercent how much of the average load a worker may have that is picked for what it
 *     remembers or where it is, {@code 100..1000}
 */
public record Stage(
    String pool,
    Policy policy,
    Optional<SessionKey> session,
    Optional<String> preferSame,
    int balancePercent) {
  /** The usual factor of consistent hashing with bounded loads. */
  static final int BALANCE_PERCENT = 125;

  static final int LEAST_BALANCE_PERCENT = 100;
  static final int MOST_BALANCE_PERCENT = 1000;

  public Stage {
    if (session.isPresent() != (policy == Policy.SESSION_AFFINITY)) {
      throw new IllegalArgumentException(
          "policy %s with session key %s".formatted(policy.keyword(), session));
    }
    if (balancePercent < LEAST_BALANCE_PERCENT || balancePercent > MOST_BALANCE_PERCENT) {
      throw new IllegalArgumentException(
          "balancePercent=%d (%d to %d)"
              .formatted(balancePercent, LEAST_BALANCE_PERCENT, MOST_BALANCE_PERCENT));
    }
  }

  /** A stage with a policy that needs nothing else. */
  public static Stage of(String pool, Policy policy) {
    return new Stage(pool, policy, Optional.empty(), Optional.empty(), BALANCE_PERCENT);
  }

  /** A stage that takes the pool's workers one after the other. */
  public static Stage roundRobin(String pool) {
    return of(pool, Policy.ROUND_ROBIN);
  }

  /** A stage that takes the pool's worker with the least load. */
  public static Stage leastActive(String pool) {
    return of(pool, Policy.LEAST_ACTIVE);
  }

  /** A stage that keeps to the worker of a session. */
  public static Stage sessionAffinity(String pool, SessionKey key) {
    return new Stage(
        pool, Policy.SESSION_AFFINITY, Optional.of(key), Optional.empty(), BALANCE_PERCENT);
  }

  /** Whether something is bounded by the balance: affinity, or nearness. */
  boolean bounds() {
    return policy == Policy.SESSION_AFFINITY
        || policy == Policy.PREFIX_AFFINITY
        || preferSame.isPresent();
  }

  /** The same with a label to prefer. */
  public Stage withPreferSame(String label) {
    return new Stage(pool, policy, session, Optional.of(label), balancePercent);
  }
}
