package dev.millrace.config;

/**
 * Which requests go to which pair of pools.
 *
 * @param model the model that requests name
 * @param prefill where the prompt is computed
 * @param decode where the answer is generated
 * @param transfer how the KV blocks get from the one to the other
 * @param deadlines how long each part may take
 * @param retries how often a stage is tried again
 */
public record Route(
    String model,
    Stage prefill,
    Stage decode,
    Transfer transfer,
    Deadlines deadlines,
    Retries retries) {
  public Route {
    if (model.isBlank()) {
      throw new IllegalArgumentException("a route needs a model to match");
    }
  }

  /** A route with engine transfer and the default deadlines and retries. */
  public static Route of(String model, Stage prefill, Stage decode) {
    return new Route(
        model, prefill, decode, Transfer.ENGINE, Deadlines.defaults(), Retries.defaults());
  }

  /** The same with other deadlines. */
  public Route withDeadlines(Deadlines newDeadlines) {
    return new Route(model, prefill, decode, transfer, newDeadlines, retries);
  }

  /** The same with other retries. */
  public Route withRetries(Retries newRetries) {
    return new Route(model, prefill, decode, transfer, deadlines, newRetries);
  }
}
