package dev.millrace.router;

import dev.millrace.config.Route;
import dev.millrace.config.RoutingTable;
import dev.millrace.router.access.Keys;
import dev.millrace.router.admit.Gate;
import dev.millrace.router.choose.Chooser;
import dev.millrace.router.edges.Watch;
import dev.millrace.router.pools.Workers;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * What one routing table makes: its workers, who watches them, who chooses among them, who is let
 * in. A table that is read anew makes another one, which takes this one's place as a whole;
 * exchanges that have chosen their workers end on the one on which they chose.
 *
 * @param gates of routes, by model
 */
record Floor(
    RoutingTable table,
    Workers workers,
    Watch watch,
    Models models,
    Map<String, Gate> gates,
    Keys keys,
    Credentials credentials) {

  /**
   * What a table makes, after another one if there was one: workers that are in both are the same,
   * and so are gates, with all that is open on them.
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
    Random random = new Random();
    Map<String, Chooser> choosers = new LinkedHashMap<>();
    Map<String, Gate> gates = new LinkedHashMap<>();
    for (Route route : table.routes()) {
      Gate known = before == null ? null : before.gates.get(route.model());
      gates.put(route.model(), known == null ? new Gate(route.limits()) : known);
      choosers.put(
          route.model(),
          new Chooser(
              watch.edges(route, workers),
              workers,
              reservations,
              random,
              nanoClock,
              before == null ? null : before.models.chooser(route.model())));
    }
    return new Floor(
        table, workers, watch, new Models(workers, watch, choosers), gates, keys, credentials);
  }

  /** Takes the place of another one. */
  void takeOver() {
    workers.takeOver();
    table.routes().forEach(route -> gate(route).setLimits(route.limits()));
  }

  /** What lets exchanges of one of the table's routes in. */
  Gate gate(Route route) {
    return Objects.requireNonNull(gates.get(route.model()), "a route of another table");
  }
}
