package dev.millrace.config;

/** How a worker of a pool is chosen for a stage. */
public enum Policy implements Keyword {
  /** One after the other. */
  ROUND_ROBIN,
  /** The worker on which the fewest exchanges hold a place. */
  LEAST_ACTIVE,
  /** Any. */
  RANDOM,
  /** Of two at random, the one on which fewer exchanges hold a place. */
  POWER_OF_TWO
}
