package dev.millrace.layout.compatibility;

import java.util.Locale;

/** An end of a pair. */
public enum Side {
  PREFILL,
  DECODE;

  /** As it is said. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
