package dev.millrace.transfer;

import java.time.Duration;

/** How a read ended. */
public sealed interface ReadOutcome {
  /** All bytes have arrived and their checksums were right. */
  record Done(long bytes, long runs, Duration took) implements ReadOutcome {}

  /**
   * Not all bytes have arrived.
   *
   * @param reason for people: what happened, with whom
   * @param bytes how many had arrived
   */
  record Failed(Cause cause, String reason, long bytes) implements ReadOutcome {}

  /** Kinds of failure, for decisions and metrics. */
  enum Cause {
    /** The peer closed the connection, reset it or could not be reached. */
    PEER_LOST,
    /** The deadline passed. */
    DEADLINE,
    /** A run lies outside the memory registered on either side. */
    OUT_OF_BOUNDS,
    /** What the peer sent does not follow the protocol, or a checksum is wrong. */
    CORRUPT,
    /** This side closed the peer or the transport. */
    CLOSED,
    /** More reads wait for this peer than the transport's limits allow. */
    OVERLOADED
  }
}
