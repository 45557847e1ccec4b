package dev.millrace.config;

import java.util.Optional;

/**
 * Which requests go to which pair of pools.
 *
 * @param model the model that requests name
 * @param prefill where the prompt is computed; empty where one worker does everything
 * @param decode where the answer is generated
 * @param pairing which workers of these pools may work together, and how
 * @param deadlines how long each part may take
 * @param retries how often a stage is tried again
 * @param limits how much is taken on at a time
 * @param bypass which prompts a decode worker computes itself
 */
public record Route(
    String model,
    Optional<Stage> prefill,
    Stage decode,
    Pairing pairing,
    Deadlines deadlines,
    Retries retries,
    Limits limits,
    Bypass bypass) {
  public Route {
    if (model.isBlank()) {
      throw new IllegalArgumentException("a route needs a model to match");
    }
  }

  /** A route with everything else at its default. */
  public static Route of(String model, Stage prefill, Stage decode) {
    return new Route(
        model,
        Optional.of(prefill),
        decode,
        Pairing.defaults(),
        Deadlines.defaults(),
        Retries.defaults(),
        Limits.defaults(),
        Bypass.none());
  }

  /** A route on which one worker does everything, with everything else at its default. */
  public static Route aggregated(String model, Stage workers) {
    return new Route(
        model,
        Optional.empty(),
        workers,
        Pairing.defaults(),
        Deadlines.defaults(),
        Retries.defaults(),
        Limits.defaults(),
        Bypass.none());
  }

  /** Whether a pool of some role may run one of its stages. */
  boolean takes(Role stage, Role pool) {
    return pool == stage || (pool == Role.BOTH && prefill.isEmpty());
  }

  /** The same with another pairing. */
  public Route withPairing(Pairing newPairing) {
    return new Route(model, prefill, decode, newPairing, deadlines, retries, limits, bypass);
  }

  /** The same with other deadlines. */
  public Route withDeadlines(Deadlines newDeadlines) {
    return new Route(model, prefill, decode, pairing, newDeadlines, retries, limits, bypass);
  }

  /** The same with other retries. */
  public Route withRetries(Retries newRetries) {
    return new Route(model, prefill, decode, pairing, deadlines, newRetries, limits, bypass);
  }

  /** The same with other limits. */
  public Route withLimits(Limits newLimits) {
    return new Route(model, prefill, decode, pairing, deadlines, retries, newLimits, bypass);
  }

  /** The same with another rule for short prompts. */
  public Route withBypass(Bypass newBypass) {
    return new Route(model, prefill, decode, pairing, deadlines, retries, limits, newBypass);
  }
}
