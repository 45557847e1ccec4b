package dev.millrace.config;

/** How a worker of a pool is chosen for a stage. */
public enum Policy implements Keyword {
  /** One after the other. */
  ROUND_ROBIN,
  /** The worker with the least load: bytes of prompts for prefill, else exchanges. */
  LEAST_ACTIVE,
  /** Any. */
  RANDOM,
  /** Of two at random, the one with less load. */
  POWER_OF_TWO,
  /** The worker that the session's earlier requests went to. */
  SESSION_AFFINITY,
  /** The worker to which the longest beginning of the prompt went before. */
  PREFIX_AFFINITY
}
