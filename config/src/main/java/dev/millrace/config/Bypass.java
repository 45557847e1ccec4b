package dev.millrace.config;

/**
 * Which prompts are not worth a hand-off, so that a decode worker computes them itself.
 *
 * @param promptBytesBelow those with fewer bytes; 0 for none
 */
public record Bypass(long promptBytesBelow) {
  static final long MOST_BYTES = 1L << 30;
  private static final Bypass NONE = new Bypass(0);

  public Bypass {
    if (promptBytesBelow < 0 || promptBytesBelow > MOST_BYTES) {
      throw new IllegalArgumentException(
          "promptBytesBelow=%d (0 to %d)".formatted(promptBytesBelow, MOST_BYTES));
    }
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
