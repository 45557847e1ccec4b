package dev.millrace.layout.compatibility;

import java.util.Locale;

/** Which engine moves the blocks. */
public enum TransferMode {
  /** The decode engine reads. */
  PULL,
  /** The prefill engine writes. */
  PUSH;

  /** vLLM's name of it. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
