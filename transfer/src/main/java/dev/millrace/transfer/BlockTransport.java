package dev.millrace.transfer;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;

/**
 * Reads remote memory.
 *
 * <p>Addresses are virtual addresses of the process that owns the memory, as NIXL's descriptors
 * have them. Both sides check every run against the registered memory, overflow-safe: the reader
 * its destination before it asks, the owner its source before it answers. Every wait has a
 * deadline. All methods may be called from any thread; futures complete on a thread of the
 * transport, which must not be blocked.
 */
public interface BlockTransport extends AutoCloseable {

  /** What it is called in configuration and metrics, such as {@code tcp}. */
  String name();

  /**
   * Lets peers read {@code memory}, and reads of this transport write it, until the registration is
   * closed.
   *
   * @param memory off-heap memory that outlives the registration, is accessible by all threads and
   *     does not overlap memory that is registered already
   * @throws IllegalArgumentException if it is not so
   * @throws TransferException if the transport is closed
   */
  Registration register(MemorySegment memory);

  /**
   * What a peer needs to {@link #connect} here: opaque bytes, at most 64 KiB, as they travel in a
   * handshake.
   */
  byte[] describe();

  /**
   * Connects to the transport that {@link #describe}d itself so.
   *
   * @return the peer, or a failure with {@link TransferException}, within {@code deadline}
   */
  CompletableFuture<Peer> connect(byte[] description, Duration deadline);

  /**
   * Calls {@code handler} with every notification that arrives, one at a time, in each peer's
   * order. Replaces an earlier handler; as long as there is none, notifications are refused.
   */
  void onNotification(NotificationHandler handler);

  /**
   * Ends all reads with a failure, closes all peers and registrations and stops listening.
   * Idempotent.
   */
  @Override
  void close();
}
