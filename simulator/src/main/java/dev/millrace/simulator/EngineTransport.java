package dev.millrace.simulator;

/** How blocks travel between engines. */
public sealed interface EngineTransport {

  /**
   * Millrace's own transport.
   *
   * @param secret what all who read from each other share, at least 16 bytes
   */
  record Tcp(String secret) implements EngineTransport {
    /** Without the secret. */
    @Override
    public String toString() {
      return "Tcp";
    }
  }

  /** Millrace's own, for engines that are nobody's secret: all on one host, or all in a test. */
  static EngineTransport tcp() {
    return new Tcp("millrace-simulator");
  }

  /**
   * NIXL, an agent per rank. Handshakes carry NIXL's metadata as they are, notifications are plain:
   * whoever can talk to a vLLM can talk to this engine. Starting such an engine loads the native
   * library into this process.
   */
  record Nixl() implements EngineTransport {}
}
