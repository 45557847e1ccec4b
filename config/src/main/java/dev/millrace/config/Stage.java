package dev.millrace.config;

/**
 * Where one leg of an exchange goes.
 *
 * @param pool name of the pool
 * @param policy how a worker of it is chosen
 */
public record Stage(String pool, Policy policy) {
  /** A stage that takes the pool's workers one after the other. */
  public static Stage roundRobin(String pool) {
    return new Stage(pool, Policy.ROUND_ROBIN);
  }

  /** A stage that takes the pool's worker on which the fewest exchanges hold a place. */
  public static Stage leastActive(String pool) {
    return new Stage(pool, Policy.LEAST_ACTIVE);
  }
}
