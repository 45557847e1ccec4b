package dev.millrace.config;

/** How KV blocks get from the prefill to the decode worker. */
public enum Transfer implements Keyword {
  /** The decode engine's own connector reads them from the prefill engine. */
  ENGINE,
  /** A KV agent describes the prefill engine's memory in the decode engine's terms. */
  BRIDGE,
  /** A KV agent reads the blocks and serves them to the decode engine. */
  RELAY,
  /** The first of these that fits, for each pair. */
  AUTO;

  /** Whether nothing can be moved this way without a KV agent. */
  public boolean needsAgent() {
    return switch (this) {
      case ENGINE, AUTO -> false;
      case BRIDGE, RELAY -> true;
    };
  }
}
