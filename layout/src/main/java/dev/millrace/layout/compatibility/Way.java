package dev.millrace.layout.compatibility;

import java.util.Locale;

/** How blocks get from a prefill to a decode engine, the cheapest first. */
public enum Way {
  /** The decode engine's own connector reads from the prefill engine. */
  ENGINE,
  /** An agent describes the prefill engine's memory in the decode engine's terms; no copy. */
  BRIDGE,
  /** An agent copies the blocks into the decode engine's geometry and serves them. */
  RELAY;

  /** As it is written in routing tables. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
