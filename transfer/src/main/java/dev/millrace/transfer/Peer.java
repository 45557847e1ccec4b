package dev.millrace.transfer;

import dev.millrace.layout.Runs;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/** A connected remote transport. */
public interface Peer extends AutoCloseable {

  /** The peer's name for itself. */
  String name();

  /**
   * Reads {@code runs}: source addresses are the peer's, destination addresses are in memory
   * registered here.
   *
   * <p>The future never completes exceptionally. On {@link ReadOutcome.Failed} the destination
   * holds a part of the bytes, and nothing writes it any more.
   *
   * @param runs may be empty, where there is only something to notify
   * @param notification delivered to the peer after its last byte has been read, in the order of
   *     {@link #notify}; the read is done when the peer has it. A read that fails before its last
   *     byte delivers nothing
   * @param deadline for the whole read
   */
  CompletableFuture<ReadOutcome> read(Runs runs, Optional<byte[]> notification, Duration deadline);

  /**
   * Sends {@code payload} to the peer's {@link NotificationHandler}, after those sent before it.
   *
   * @param payload any bytes, at most 64 KiB
   * @return completes when the peer's handler has returned. Fails with {@link TransferException}
   *     otherwise; whether the peer has it is then unknown
   */
  CompletableFuture<Void> notify(byte[] payload, Duration deadline);

  /** Ends this peer's reads with a failure and disconnects. Idempotent. */
  @Override
  void close();
}
