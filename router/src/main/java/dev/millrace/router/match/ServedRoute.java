package dev.millrace.router.match;

import dev.millrace.config.Branch;
import dev.millrace.config.ModelPattern;
import dev.millrace.config.Route;
import dev.millrace.config.Split;
import dev.millrace.router.admit.Gate;
import dev.millrace.router.choose.Fingerprint;
import dev.millrace.router.choose.Traits;
import dev.millrace.router.http.Api;
import dev.millrace.router.pools.Worker;
import io.vertx.core.MultiMap;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.LongAdder;
import org.jspecify.annotations.Nullable;

/** A route of the table in force, with what serves it. Shared by all event loops. */
public final class ServedRoute {
  private final Route route;
  private final Gate gate;
  private final List<ServedBranch> branches;
  private final @Nullable Shares shares;
  private final Conditions conditions;
  private final @Nullable ServedRoute fallback;
  private final Map<String, LongAdder> fellBack;

  /**
   * A route with what serves it.
   *
   * @param gate that lets its exchanges in
   * @param branches of its {@link Route#parts}, in their order
   * @param fallback that takes what it cannot serve, if one does
   * @param known the route of that name by an earlier table, from where it goes on counting
   */
  public ServedRoute(
      Route route,
      Gate gate,
      List<ServedBranch> branches,
      @Nullable ServedRoute fallback,
      @Nullable ServedRoute known) {
    this.route = route;
    this.gate = gate;
    this.branches = List.copyOf(branches);
    this.shares = route.split().map(split -> shares(split, branches)).orElse(null);
    this.conditions = new Conditions(route.match());
    this.fallback = fallback;
    this.fellBack = known == null ? new ConcurrentSkipListMap<>() : known.fellBack;
  }

  private static Shares shares(Split split, List<ServedBranch> branches) {
    List<Integer> weights = new ArrayList<>(List.of(split.weight()));
    split.branches().stream().map(Branch::weight).forEach(weights::add);
    return new Shares(branches.stream().map(ServedBranch::name).toList(), weights);
  }

  /** What the operator wrote. */
  public Route route() {
    return route;
  }

  /** What records and metrics call it. */
  public String name() {
    return route.name();
  }

  /** What lets its exchanges in. */
  public Gate gate() {
    return gate;
  }

  /** Its own pools, and those that take a share. */
  public List<ServedBranch> branches() {
    return branches;
  }

  /** Whether there is more than one. */
  public boolean isSplit() {
    return shares != null;
  }

  /** The branch that takes a request: that of its session, if the route asks for one. */
  public ServedBranch branchOf(Traits traits, String requestId) {
    return shares == null ? branches.getFirst() : branches.get(shares.pick(key(traits, requestId)));
  }

  private long key(Traits traits, String requestId) {
    OptionalLong session =
        route.split().flatMap(Split::session).map(traits::session).orElse(OptionalLong.empty());
    return session.isPresent() ? session.getAsLong() : Fingerprint.of(requestId);
  }

  /** The route that takes what this one cannot serve, or null if none does. */
  public @Nullable ServedRoute fallback() {
    return fallback;
  }

  /**
   * Counts an exchange that its fallback takes.
   *
   * @param why in a word
   */
  public void fellBack(String why) {
    fellBack.computeIfAbsent(why, first -> new LongAdder()).increment();
  }

  /** How many exchanges its fallbacks have taken since the start, by the reason. */
  Map<String, LongAdder> fallbacks() {
    return fellBack;
  }

  /**
   * The model that it serves in another route's place: the one that was asked for if it knows it by
   * its name, else its own.
   */
  public String inPlaceOf(String model, ServedBranch branch) {
    ModelPattern own = route.match().model();
    return own.matches(model) ? model : own.isExact() ? own.text() : branch.model();
  }

  /** The branch that is called so, or null if none is. */
  public @Nullable ServedBranch called(String name) {
    for (ServedBranch each : branches) {
      if (each.name().equals(name)) {
        return each;
      }
    }
    return null;
  }

  /** The first branch for which a worker decodes, or null if it does for none. */
  public @Nullable ServedBranch decodingOn(Worker worker) {
    for (ServedBranch each : branches) {
      if (each.chooser().decodesOn(worker)) {
        return each;
      }
    }
    return null;
  }

  /** Whether it takes a request, if it takes those for its model. */
  boolean takes(Api api, MultiMap headers) {
    return conditions.hold(api, headers);
  }

  /** Whether who sends these headers may know of it. */
  public boolean isSeenWith(MultiMap headers) {
    return conditions.hold(headers);
  }
}
