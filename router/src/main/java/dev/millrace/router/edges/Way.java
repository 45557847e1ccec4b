package dev.millrace.router.edges;

/** How blocks get from a prefill to a decode worker. */
public enum Way {
  /** The decode engine reads them by itself. */
  ENGINE,
  /** It does, from the memory that a KV agent describes to it. */
  BRIDGE,
  /** A KV agent carries them over. */
  RELAY
}
