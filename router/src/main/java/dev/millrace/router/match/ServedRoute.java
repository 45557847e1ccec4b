package dev.millrace.router.match;

import dev.millrace.config.Route;
import dev.millrace.router.admit.Gate;
import dev.millrace.router.choose.Chooser;
import dev.millrace.router.http.Api;
import io.vertx.core.MultiMap;

/** A route of the table in force, with what serves it. Shared by all event loops. */
public final class ServedRoute {
  private final Route route;
  private final Gate gate;
  private final Chooser chooser;
  private final Conditions conditions;

  /**
   * A route with what serves it.
   *
   * @param gate that lets its exchanges in
   * @param chooser of their workers
   */
  public ServedRoute(Route route, Gate gate, Chooser chooser) {
    this.route = route;
    this.gate = gate;
    this.chooser = chooser;
    this.conditions = new Conditions(route.match());
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

  /** Who chooses their workers. */
  public Chooser chooser() {
    return chooser;
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
