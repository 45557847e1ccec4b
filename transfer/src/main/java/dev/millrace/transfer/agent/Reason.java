package dev.millrace.transfer.agent;

/** Kinds of failure, for decisions and metrics. */
public enum Reason {
  /** The request cannot be: block ids, tokens, layout. */
  INVALID,
  /** The side channel is not on the agent's list. */
  NOT_ALLOWED,
  /** The engine does not answer. */
  UNREACHABLE,
  /** The engine is not what the request or the configuration says. */
  MISMATCH,
  /** The memory budget does not allow another copy. */
  MEMORY_FULL,
  /** As many calls run as may. */
  OVERLOADED,
  /** The engine went away while it was read from. */
  PEER_LOST,
  /** The deadline passed. */
  DEADLINE,
  /** What arrived was not right. */
  CORRUPT,
  /** The caller cancelled. */
  CANCELLED,
  /** The agent is ending. */
  CLOSED,
  /** A fact on which the answer depends is neither seen nor declared. */
  UNPROVEN,
  /** The copy is not held any more. */
  GONE
}
