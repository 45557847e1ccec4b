package dev.millrace.config;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;

/**
 * The public port.
 *
 * @param host address to bind; loopback unless an operator opens it
 * @param port {@code 0..65535}; 0 lets the system choose
 * @param maxBodyBytes largest request body that is accepted, 1 KiB to 1 GiB; more is answered 413
 * @param eventLoops threads that move bytes, {@code 1..1024}
 * @param shutdownGrace how long answers under way may take to end once the router was asked to stop
 * @param keysFile the keys by which clients may ask; empty: nobody is asked for one
 * @param tls empty: clients connect in the clear
 * @param cors empty: no web page of another origin may ask
 */
public record Listen(
    String host,
    int port,
    long maxBodyBytes,
    int eventLoops,
    Duration shutdownGrace,
    Optional<Path> keysFile,
    Optional<Tls> tls,
    Optional<Cors> cors) {
  static final String DEFAULT_HOST = "127.0.0.1";
  static final int DEFAULT_PORT = 8080;
  static final long DEFAULT_MAX_BODY_BYTES = 16L << 20;
  static final long LEAST_MAX_BODY_BYTES = 1L << 10;
  static final long MOST_MAX_BODY_BYTES = 1L << 30;
  static final int MOST_EVENT_LOOPS = 1024;

  /** Less than the 30 s after which Kubernetes kills what it has asked to end. */
  static final Duration DEFAULT_SHUTDOWN_GRACE = Duration.ofSeconds(25);

  public Listen {
    if (host.isBlank() || port < 0 || port > 65535) {
      throw new IllegalArgumentException(
          "listen: \"%s:%d\" is not host:port".formatted(host, port));
    }
    if (maxBodyBytes < LEAST_MAX_BODY_BYTES || maxBodyBytes > MOST_MAX_BODY_BYTES) {
      throw new IllegalArgumentException(
          "listen: max-body is %d bytes, must be 1KiB to 1GiB".formatted(maxBodyBytes));
    }
    if (eventLoops < 1 || eventLoops > MOST_EVENT_LOOPS) {
      throw new IllegalArgumentException(
          "listen: event-loops is %d, must be 1 to %d".formatted(eventLoops, MOST_EVENT_LOOPS));
    }
  }

  /** Loopback, port 8080, bodies up to 16 MiB, one event loop per core. */
  public static Listen defaults() {
    return new Listen(
        DEFAULT_HOST,
        DEFAULT_PORT,
        DEFAULT_MAX_BODY_BYTES,
        defaultEventLoops(),
        DEFAULT_SHUTDOWN_GRACE,
        Optional.empty(),
        Optional.empty(),
        Optional.empty());
  }

  /** The same on another port; 0 lets the system choose. */
  public Listen withPort(int newPort) {
    return new Listen(host, newPort, maxBodyBytes, eventLoops, shutdownGrace, keysFile, tls, cors);
  }

  /** The same with another bound on request bodies. */
  public Listen withMaxBodyBytes(long newMaxBodyBytes) {
    return new Listen(host, port, newMaxBodyBytes, eventLoops, shutdownGrace, keysFile, tls, cors);
  }

  /** The same with another number of event loops. */
  public Listen withEventLoops(int newEventLoops) {
    return new Listen(host, port, maxBodyBytes, newEventLoops, shutdownGrace, keysFile, tls, cors);
  }

  /** The same for those that have a key of this file. */
  public Listen withKeysFile(Path newKeysFile) {
    return new Listen(
        host, port, maxBodyBytes, eventLoops, shutdownGrace, Optional.of(newKeysFile), tls, cors);
  }

  /** The same by TLS. */
  public Listen withTls(Tls newTls) {
    return new Listen(
        host, port, maxBodyBytes, eventLoops, shutdownGrace, keysFile, Optional.of(newTls), cors);
  }

  /** The same for web pages of these origins too. */
  public Listen withCors(Cors newCors) {
    return new Listen(
        host, port, maxBodyBytes, eventLoops, shutdownGrace, keysFile, tls, Optional.of(newCors));
  }

  /** {@code http} or {@code https}. */
  public String scheme() {
    return tls.isPresent() ? "https" : "http";
  }

  static int defaultEventLoops() {
    return Math.min(MOST_EVENT_LOOPS, Runtime.getRuntime().availableProcessors());
  }
}
