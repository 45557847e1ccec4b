package dev.millrace.config;

/**
 * How often a stage is tried again on another worker before the client hears of it.
 *
 * @param prefill further prefill legs after the first has failed, {@code 0..10}
 * @param decode further decode legs, {@code 0..10}, each after a new prefill unless the worker
 *     could not be reached
 */
public record Retries(int prefill, int decode) {
  static final int MOST = 10;
  private static final Retries DEFAULTS = new Retries(2, 1);

  public Retries {
    if (prefill < 0 || prefill > MOST || decode < 0 || decode > MOST) {
      throw new IllegalArgumentException(
          "retries: prefill is %d and decode is %d, must be 0 to %d"
              .formatted(prefill, decode, MOST));
    }
  }

  /** Two for prefill, one for decode. */
  public static Retries defaults() {
    return DEFAULTS;
  }
}
