package dev.millrace.transfer.agent;

import java.time.Duration;
import java.util.Optional;

/** How a read or a relay goes on. The last one is {@link Done} or {@link Failed}. */
public sealed interface ReadEvent {
  /**
   * The engine's geometry is known.
   *
   * @param geometry in words
   */
  record Handshaken(String geometry, Duration took) implements ReadEvent {}

  /**
   * Memory is set aside, the first reads are under way.
   *
   * @param copyId names the copy that is being made
   * @param bytes to be read in all
   * @param sourceRanks ranks that are read from
   * @param parts of the sequence that are read one after the other
   */
  record Posted(String copyId, long bytes, int sourceRanks, int parts) implements ReadEvent {}

  /** So many bytes have arrived. */
  record Progress(long bytes) implements ReadEvent {}

  /**
   * Everything is here.
   *
   * @param carriage where a decode engine reads the copy, if it was made for one
   */
  record Done(
      String copyId,
      long bytes,
      long runs,
      Duration took,
      Duration expiresIn,
      Optional<Carriage> carriage)
      implements ReadEvent {}

  /**
   * Not everything has arrived; no copy is kept.
   *
   * @param message for people
   * @param bytes that had arrived
   * @param quarantinedBytes memory that cannot be used again before the transport is done with it
   */
  record Failed(Reason reason, String message, long bytes, long quarantinedBytes)
      implements ReadEvent {}
}
