package dev.millrace.config;

/**
 * How often a stage is tried again on another worker before the client hears of it.
 *
 * @param prefill further prefill legs after the first has failed, {@code 0..10}
 * @param decode further decode legs, {@code 0..10}, each after a new prefill unless the worker
 *     could not be reached
 * @param budgetPercent most retries of the route, of a hundred requests, {@code 0..100}
 */
public record Retries(int prefill, int decode, int budgetPercent) {
  static final int MOST = 10;
  static final int MOST_BUDGET_PERCENT = 100;
  private static final Retries DEFAULTS = new Retries(2, 1, 10);

  public Retries {
    if (prefill < 0 || prefill > MOST || decode < 0 || decode > MOST) {
      throw new IllegalArgumentException(
          "retries: prefill is %d and decode is %d, must be 0 to %d"
              .formatted(prefill, decode, MOST));
    }
    if (budgetPercent < 0 || budgetPercent > MOST_BUDGET_PERCENT) {
      throw new IllegalArgumentException(
          "retries: budget-percent is %d, must be 0 to %d"
              .formatted(budgetPercent, MOST_BUDGET_PERCENT));
    }
  }

  /** Two for prefill, one for decode, and of all together ten of a hundred requests. */
  public static Retries defaults() {
    return DEFAULTS;
  }
}
