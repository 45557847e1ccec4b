package dev.millrace.config;

/**
 * Which prompts are not worth a hand-off, so that a decode worker computes them itself.
 *
 * @param promptBytesBelow those with fewer bytes; 0 for none
 * @param breakEven those with which clients wait longer where they are handed over, by what was
 *     measured
 */
public record Bypass(long promptBytesBelow, boolean breakEven) {
  static final long MOST_BYTES = 1L << 30;
  private static final Bypass NONE = new Bypass(0, false);

  public Bypass {
    if (promptBytesBelow < 0 || promptBytesBelow > MOST_BYTES) {
      throw new IllegalArgumentException(
          "promptBytesBelow=%d (0 to %d)".formatted(promptBytesBelow, MOST_BYTES));
    }
  }

  /** Those with fewer bytes. */
  public static Bypass below(long promptBytes) {
    return new Bypass(promptBytes, false);
  }

  /** Those that are not worth it, by what was measured. */
  public static Bypass measured() {
    return new Bypass(0, true);
  }

  /** Every prompt is handed over. */
  public static Bypass none() {
    return NONE;
  }

  /** Whether a prompt is too short. */
  public boolean takes(long promptBytes) {
    return promptBytes < promptBytesBelow;
  }
}
