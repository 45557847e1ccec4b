package dev.millrace.config;

import java.util.LinkedHashMap;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.function.Consumer;

/**
 * Which requests go to which pair of pools.
 *
 * @param name what records, metrics and other routes call it; no two routes have the same
 * @param match which requests take it
 * @param servedModelName the name by which engines are asked for the model; empty: the client's
 * @param prefill where the prompt is computed; empty where one worker does everything
 * @param decode where the answer is generated
 * @param split which shares of its requests go to other pools; empty: none
 * @param fallback the name of the route that takes what this one cannot serve; empty: nobody
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
    Optional<Split> split,
    Optional<String> fallback,
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
    return new Draft(model, Optional.of(prefill), decode).route();
  }

  /** A route on which one worker does everything, with everything else at its default. */
  public static Route aggregated(String model, Stage workers) {
    return new Draft(model, Optional.empty(), workers).route();
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

  /** Its own pools and its branches, by their names, each as a route with one pair of pools. */
  public SequencedMap<String, Route> parts() {
    SequencedMap<String, Route> parts = new LinkedHashMap<>();
    parts.put(Split.OWN, but(draft -> draft.split = Optional.empty()));
    split.ifPresent(shares -> shares.branches().forEach(each -> parts.put(each.name(), on(each))));
    return parts;
  }

  private Route on(Branch branch) {
    return but(draft -> {
      draft.name = name + "/" + branch.name();
      draft.servedModelName = branch.servedModelName().or(() -> servedModelName);
      draft.prefill = branch.prefill();
      draft.decode = branch.decode();
      draft.split = Optional.empty();
    });
  }

  /** The same under another name. */
  public Route withName(String newName) {
    return but(draft -> draft.name = newName);
  }

  /** The same for other requests. */
  public Route withMatch(Match newMatch) {
    return but(draft -> draft.match = newMatch);
  }

  /** The same with engines that are asked by another name. */
  public Route withServedModelName(String newName) {
    return but(draft -> draft.servedModelName = Optional.of(newName));
  }

  /** The same with shares for other pools. */
  public Route withSplit(Split newSplit) {
    return but(draft -> draft.split = Optional.of(newSplit));
  }

  /** The same with another route for what it cannot serve. */
  public Route withFallback(String newName) {
    return but(draft -> draft.fallback = Optional.of(newName));
  }

  /** The same with another pairing. */
  public Route withPairing(Pairing newPairing) {
    return but(draft -> draft.pairing = newPairing);
  }

  /** The same with other deadlines. */
  public Route withDeadlines(Deadlines newDeadlines) {
    return but(draft -> draft.deadlines = newDeadlines);
  }

  /** The same with other retries. */
  public Route withRetries(Retries newRetries) {
    return but(draft -> draft.retries = newRetries);
  }

  /** The same with other limits. */
  public Route withLimits(Limits newLimits) {
    return but(draft -> draft.limits = newLimits);
  }

  /** The same with another rule for short prompts. */
  public Route withBypass(Bypass newBypass) {
    return but(draft -> draft.bypass = newBypass);
  }

  private Route but(Consumer<Draft> change) {
    Draft draft = new Draft(this);
    change.accept(draft);
    return draft.route();
  }

  /** A route that can still be changed. */
  private static final class Draft {
    private String name;
    private Match match;
    private Optional<String> servedModelName = Optional.empty();
    private Optional<Stage> prefill;
    private Stage decode;
    private Optional<Split> split = Optional.empty();
    private Optional<String> fallback = Optional.empty();
    private Pairing pairing = Pairing.defaults();
    private Deadlines deadlines = Deadlines.defaults();
    private Retries retries = Retries.defaults();
    private Limits limits = Limits.defaults();
    private Bypass bypass = Bypass.none();

    Draft(String model, Optional<Stage> prefill, Stage decode) {
      this.name = model;
      this.match = Match.model(model);
      this.prefill = prefill;
      this.decode = decode;
    }

    Draft(Route like) {
      this.name = like.name;
      this.match = like.match;
      this.servedModelName = like.servedModelName;
      this.prefill = like.prefill;
      this.decode = like.decode;
      this.split = like.split;
      this.fallback = like.fallback;
      this.pairing = like.pairing;
      this.deadlines = like.deadlines;
      this.retries = like.retries;
      this.limits = like.limits;
      this.bypass = like.bypass;
    }

    Route route() {
      return new Route(
          name,
          match,
          servedModelName,
          prefill,
          decode,
          split,
          fallback,
          pairing,
          deadlines,
          retries,
          limits,
          bypass);
    }
  }
}
