package dev.millrace.transfer.tcp;

import java.time.Duration;

/**
 * Bounds of a {@link TcpTransport}.
 *
 * @param readsAtOnce reads under way per peer, each on a connection of its own; more wait
 * @param queuedReads reads that may wait per peer; more are refused
 * @param acceptedConnections connections from peers; more are refused
 * @param strangers accepted connections that have not proved themselves yet; more are refused
 * @param greeting how long a new connection may take to prove itself
 * @param stall how long nothing may move on a connection in the middle of an exchange
 */
public record TcpLimits(
    int readsAtOnce,
    int queuedReads,
    int acceptedConnections,
    int strangers,
    Duration greeting,
    Duration stall) {

  /** What suits an engine with a few dozen peers. */
  public static final TcpLimits DEFAULT =
      new TcpLimits(4, 4096, 512, 64, Duration.ofSeconds(5), Duration.ofSeconds(5));

  public TcpLimits {
    if (readsAtOnce < 1 || queuedReads < 1 || acceptedConnections < 1 || strangers < 1) {
      throw new IllegalArgumentException(
          "limits: readsAtOnce=%d, queuedReads=%d, acceptedConnections=%d, strangers=%d (each >= 1)"
              .formatted(readsAtOnce, queuedReads, acceptedConnections, strangers));
    }
    if (greeting.toMillis() < 1 || stall.toMillis() < 1) {
      throw new IllegalArgumentException(
          "limits: greeting=%s, stall=%s (each >= 1 ms)".formatted(greeting, stall));
    }
  }
}
