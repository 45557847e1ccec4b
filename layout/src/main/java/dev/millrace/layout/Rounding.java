package dev.millrace.layout;

/** How exactly a plan follows the span it was asked for. */
public enum Rounding {
  /** Only the span's own bytes move. */
  EXACT,
  /**
   * Whole source blocks move, as far as destination blocks reach: fewer and longer runs, a few
   * bytes more. What lies behind the end of the span must be zeroed on arrival ({@link
   * TransferPlan#tail}). vLLM's connector moves blocks so.
   */
  WHOLE_BLOCKS
}
