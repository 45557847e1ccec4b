package dev.millrace.layout;

/** How exactly a plan follows the span it was asked for. */
public enum Rounding {
  /** Only the span's own bytes move. */
  EXACT,
  /**
   * The last source block moves to its end, or to the end of the last destination block that the
   * span touches, whichever comes first: fewer and longer runs, a few bytes more. Nothing is
   * written before the span's start. What lies behind its end must be zeroed on arrival ({@link
   * TransferPlan#tail}). vLLM's connector moves blocks so.
   */
  WHOLE_BLOCKS
}
