package dev.millrace.config;

import java.util.Optional;

/**
 * Which requests go to which pair of pools.
 *
 * @param name what records, metrics and other routes call it; no two routes have the same
 * @param match which requests take it
 * @param servedModelName the name by which engines are asked for the model; empty: the client's
 * @param prefill where the prompt is computed; empty where one worker does everything
 * @param decode where the answer is generated
 * @param pairing which workers of these pools may work together, and how
 * @param deadlines how long each part may take
 * @param retries how often a stage is tried again
 * @param limits how much is taken on at a time
 * @param bypass which prompts a decode worker computes itself
 */
public record Route(
    String name,
    Match match,
    Optional<String> servedModelName,
    Optional<Stage> prefill,
    Stage decode,
    Pairing pairing,
    Deadlines deadlines,
    Retries retries,
    Limits limits,
    Bypass bypass) {
  public Route {
    if (name.isBlank()) {
      throw new IllegalArgumentException("a route needs a name");
    }
  }

  /** A route with everything else at its default. */
  public static Route of(String model, Stage prefill, Stage decode) {
    return new Route(
        model,
        Match.model(model),
        Optional.empty(),
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
        Match.model(model),
        Optional.empty(),
        Optional.empty(),
        workers,
        Pairing.defaults(),
        Deadlines.defaults(),
        Retries.defaults(),
        Limits.defaults(),
        Bypass.none());
  }

  /** The model that requests name, or what its name looks like. */
  public String model() {
    return match.model().text();
  }

  /** Whether engines that serve a model under that name can be asked. */
  boolean isServedAs(String model) {
    return servedModelName.map(model::equals).orElseGet(() -> match.model().matches(model));
  }

  /** Whether a pool of some role may run one of its stages. */
  boolean takes(Role stage, Role pool) {
    return pool == stage || (pool == Role.BOTH && prefill.isEmpty());
  }

  /** The same under another name. */
  public Route withName(String newName) {
    return new Route(
        newName,
        match,
        servedModelName,
        prefill,
        decode,
        pairing,
        deadlines,
        retries,
        limits,
        bypass);
  }

  /** The same for other requests. */
  public Route withMatch(Match newMatch) {
    return new Route(
        name,
        newMatch,
        servedModelName,
        prefill,
        decode,
        pairing,
        deadlines,
        retries,
        limits,
        bypass);
  }

  /** The same with engines that are asked by another name. */
  public Route withServedModelName(String newName) {
    return new Route(
        name,
        match,
        Optional.of(newName),
        prefill,
        decode,
        pairing,
        deadlines,
        retries,
        limits,
        bypass);
  }

  /** The same with another pairing. */
  public Route withPairing(Pairing newPairing) {
    return new Route(
        name,
        match,
        servedModelName,
        prefill,
        decode,
        newPairing,
        deadlines,
        retries,
        limits,
        bypass);
  }

  /** The same with other deadlines. */
  public Route withDeadlines(Deadlines newDeadlines) {
    return new Route(
        name,
        match,
        servedModelName,
        prefill,
        decode,
        pairing,
        newDeadlines,
        retries,
        limits,
        bypass);
  }

  /** The same with other retries. */
  public Route withRetries(Retries newRetries) {
    return new Route(
        name,
        match,
        servedModelName,
        prefill,
        decode,
        pairing,
        deadlines,
        newRetries,
        limits,
        bypass);
  }

  /** The same with other limits. */
  public Route withLimits(Limits newLimits) {
    return new Route(
        name,
        match,
        servedModelName,
        prefill,
        decode,
        pairing,
        deadlines,
        retries,
        newLimits,
        bypass);
  }

  /** The same with another rule for short prompts. */
  public Route withBypass(Bypass newBypass) {
    return new Route(
        name,
        match,
        servedModelName,
        prefill,
        decode,
        pairing,
        deadlines,
        retries,
        limits,
        newBypass);
  }
}
