package dev.millrace.router.choose;

/**
 * How many tokens a route's prompts have, by their bytes: {@code tokens ≈ r · bytes}, where {@code
 * r} is that of earlier ones, of which the last few count most. As long as none was counted there
 * are four bytes to a token. Shared by all event loops; one of two that count at the same moment
 * may be lost.
 */
final class PromptSizes {
  private static final double BEFORE_ANY = 0.25;

  /** Of a new one. */
  private static final double WEIGHT = 0.125;

  private volatile double tokensPerByte;

  /** About how many tokens a prompt has. */
  long tokens(long bytes) {
    double known = tokensPerByte;
    return Math.round((known == 0 ? BEFORE_ANY : known) * bytes);
  }

  /** A prompt was counted. */
  void counted(long bytes, int tokens) {
    double known = tokensPerByte;
    double its = tokens / (double) bytes;
    tokensPerByte = known == 0 ? its : known + WEIGHT * (its - known);
  }
}
