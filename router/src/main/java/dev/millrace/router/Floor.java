package dev.millrace.router;

import dev.millrace.config.Limits;
import dev.millrace.config.Route;
import dev.millrace.config.RoutingTable;
import dev.millrace.router.access.Keys;
import dev.millrace.router.admit.Gate;
import dev.millrace.router.choose.Chooser;
import dev.millrace.router.edges.Watch;
import dev.millrace.router.http.Api;
import dev.millrace.router.match.RouteIndex;
import dev.millrace.router.match.ServedBranch;
import dev.millrace.router.match.ServedRoute;
import dev.millrace.router.pools.Workers;
import io.vertx.core.MultiMap;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * What one routing table makes: its workers, who watches them, its routes with who chooses among
 * them, who is let in. A table that is read anew makes another one, which takes this one's place as
 * a whole; exchanges that have chosen their workers end on the one on which they chose.
 */
record Floor(
    RoutingTable table,
    Workers workers,
    Watch watch,
    Models models,
    RouteIndex routes,
    Keys keys,
    Credentials credentials) {

  /**
   * What a table makes, after another one if there was one: workers that are in both are the same,
   * and so are gates of routes with the same name, with all that is open on them.
   */
  static Floor of(
      RoutingTable table,
      Watch watch,
      Keys keys,
      Credentials credentials,
      AtomicInteger reservations,
      LongSupplier nanoClock,
      @Nullable Floor before) {
    Workers workers = before == null ? new Workers(table) : new Workers(table, before.workers);
    workers.all().forEach(worker -> worker.show(credentials.to(worker)));
    Builder builder =
        new Builder(
            table, workers, watch, reservations, nanoClock, before == null ? null : before.routes);
    RouteIndex routes = new RouteIndex(builder.served());
    return new Floor(
        table, workers, watch, new Models(workers, watch, routes), routes, keys, credentials);
  }

  /** Puts what serves a table's routes behind them. */
  private static final class Builder {
    private final RoutingTable table;
    private final Workers workers;
    private final Watch watch;
    private final AtomicInteger reservations;
    private final LongSupplier nanoClock;
    private final @Nullable RouteIndex before;
    private final Random random = new Random();
    private final Map<String, List<ServedBranch>> branches = new HashMap<>();
    private final Map<String, ServedRoute> served = new HashMap<>();

    Builder(
        RoutingTable table,
        Workers workers,
        Watch watch,
        AtomicInteger reservations,
        LongSupplier nanoClock,
        @Nullable RouteIndex before) {
      this.table = table;
      this.workers = workers;
      this.watch = watch;
      this.reservations = reservations;
      this.nanoClock = nanoClock;
      this.before = before;
    }

    /** All of them, in the order of the table, in which their pairs are watched, too. */
    List<ServedRoute> served() {
      table.routes().forEach(route -> branches.put(route.name(), branches(route)));
      return table.routes().stream().map(this::served).toList();
    }

    private @Nullable ServedRoute known(Route route) {
      return before == null ? null : before.called(route.name());
    }

    private List<ServedBranch> branches(Route route) {
      ServedRoute known = known(route);
      List<ServedBranch> parts = new ArrayList<>();
      route
          .parts()
          .forEach((name, part) ->
              parts.add(branch(name, part, known == null ? null : known.called(name))));
      return parts;
    }

    private ServedBranch branch(String name, Route part, @Nullable ServedBranch known) {
      return new ServedBranch(
          name,
          table.pool(part.decode()).model(),
          new Chooser(
              watch.edges(part, workers),
              workers,
              reservations,
              random,
              nanoClock,
              known == null ? null : known.chooser()),
          known == null ? new Gate(inLine(part.limits())) : known.line(),
          known == null ? new LongAdder() : known.taken());
    }

    /** Its fallback comes before it; that ends, because no table has a circle of them. */
    private ServedRoute served(Route route) {
      ServedRoute done = served.get(route.name());
      if (done != null) {
        return done;
      }
      ServedRoute known = known(route);
      ServedRoute made =
          new ServedRoute(
              route,
              known == null ? new Gate(route.limits()) : known.gate(),
              branches.getOrDefault(route.name(), List.of()),
              route.fallback().map(this::called).orElse(null),
              known);
      served.put(route.name(), made);
      return made;
    }

    private ServedRoute called(String name) {
      return served(
          table.routes().stream()
              .filter(route -> route.name().equals(name))
              .findFirst()
              .orElseThrow());
    }
  }

  /** Takes the place of another one. */
  void takeOver() {
    workers.takeOver();
    routes
        .all()
        .forEach(each -> {
          each.gate().setLimits(each.route().limits());
          each.branches().forEach(branch -> branch.line().setLimits(inLine(each.route().limits())));
        });
  }

  /** One at a time looks for room on decode workers; others wait behind it. */
  private static Limits inLine(Limits ofRoute) {
    return new Limits(1, ofRoute.waiting(), ofRoute.patience());
  }

  /**
   * The route that takes a request, or null if none does: one that names its model, one whose
   * engines have loaded an adapter of that name, one whose pattern it looks like.
   */
  @Nullable ServedRoute route(String model, Api api, MultiMap headers) {
    if (model.isEmpty()) {
      return routes.only(api, headers);
    }
    ServedRoute naming = routes.naming(model, api, headers);
    if (naming != null) {
      return naming;
    }
    ServedRoute ofAdapter = RouteIndex.first(models.withAdapter(model), api, headers);
    return ofAdapter != null ? ofAdapter : routes.like(model, api, headers);
  }

  /**
   * The name by which a branch's engines are asked for a model; an adapter's is the engines' own.
   */
  String askedAs(ServedRoute target, ServedBranch branch, String model) {
    String asked = branch.askedFor(model);
    boolean isAdapter =
        !asked.equals(model)
            && !target.route().model().equals(model)
            && models.withAdapter(model).contains(target);
    return isAdapter ? model : asked;
  }
}
