package dev.millrace.config;

/** How a worker of a pool is chosen for a stage. */
public enum Policy implements Keyword {
  /** One after the other. */
  ROUND_ROBIN,
  /** The worker with the fewest open legs. */
  LEAST_ACTIVE
}
