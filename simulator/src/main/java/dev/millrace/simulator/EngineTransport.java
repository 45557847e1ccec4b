package dev.millrace.simulator;

import dev.millrace.transfer.SharedSecret;
import java.nio.charset.StandardCharsets;

/** How blocks travel between engines. */
public sealed interface EngineTransport {

  /**
   * Millrace's own transport.
   *
   * @param secret what all who read from each other share
   */
  record Tcp(SharedSecret secret) implements EngineTransport {}

  /** Millrace's own, for engines that are nobody's secret: all on one host, or all in a test. */
  static EngineTransport tcp() {
    return new Tcp(SharedSecret.of("millrace-simulator".getBytes(StandardCharsets.UTF_8)));
  }

  /**
   * NIXL, an agent per rank. Handshakes carry NIXL's metadata as they are, notifications are plain:
   * whoever can talk to a vLLM can talk to this engine. Starting such an engine loads the native
   * library into this process.
   */
  record Nixl() implements EngineTransport {}
}
