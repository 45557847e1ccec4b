package dev.millrace.transfer.agent;

import java.time.Duration;

/**
 * How a decode engine comes by a hand-off's blocks.
 *
 * @param handOff what the decode engine must be told instead of what the prefill engine said: whom
 *     to read from, under which request id, which blocks
 * @param way how they get there
 * @param heldBytes memory of the agent that is taken until the reader is done, 0 for a bridge
 */
public record Carriage(HandOff handOff, Way way, long heldBytes, Steps steps) {

  /** The way. */
  public enum Way {
    /** By the decode engine itself; only the hash differs from the prefill engine's. */
    BRIDGED,
    /** By the decode engine itself; regions and strides, or block ids, are its own. */
    BRIDGED_REGIONS,
    /** The agent read every run directly to its place. */
    RELAYED,
    /** The agent read whole blocks and permuted them on arrival. */
    RELAYED_STAGED,
    /** From a copy that the agent had. */
    RELAYED_AGAIN
  }

  /**
   * Where the time went. Reading and laying out overlap.
   *
   * @param meet handshakes with both engines, and comparing them
   * @param prepare memory, a side channel for it, the first plan
   * @param read from the first read that was posted to the last byte
   * @param lay permuting and zeroing
   * @param release telling the prefill engine that it can free its blocks
   * @param total of the call
   */
  public record Steps(
      Duration meet,
      Duration prepare,
      Duration read,
      Duration lay,
      Duration release,
      Duration total) {}
}
