package dev.millrace.router;

import dev.millrace.config.Route;
import dev.millrace.config.RoutingTable;
import dev.millrace.router.access.Keys;
import dev.millrace.router.admit.Gate;
import dev.millrace.router.admit.GatesText;
import dev.millrace.router.agents.Agents;
import dev.millrace.router.choose.Chooser;
import dev.millrace.router.edges.Watch;
import dev.millrace.router.handoff.Ledger;
import dev.millrace.router.pools.EvidenceCollector;
import dev.millrace.router.pools.Workers;
import dev.millrace.router.telemetry.Carriages;
import dev.millrace.router.telemetry.Gauges;
import dev.millrace.router.telemetry.RecentExchanges;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.function.LongSupplier;

/** What all event loops of a router share: the table, counters, and nothing that needs a lock. */
final class House {
  private static final int KEPT_EXCHANGES = 1000;

  final RoutingTable table;
  final LongSupplier nanoClock;
  final Workers workers;
  final Gauges gauges = new Gauges();
  final Carriages carriages = new Carriages();
  final Ledger ledger;
  final RecentExchanges recent = new RecentExchanges(KEPT_EXCHANGES);
  final Agents agents;
  final Watch watch;
  final EvidenceCollector evidence;
  final Models models;
  final Keys keys;
  private final Map<String, Gate> gates = new LinkedHashMap<>();
  private volatile boolean closing;

  House(
      RoutingTable table,
      LongSupplier nanoClock,
      Workers workers,
      Ledger ledger,
      Agents agents,
      Watch watch,
      EvidenceCollector evidence,
      Keys keys) {
    this.table = table;
    this.nanoClock = nanoClock;
    this.workers = workers;
    this.ledger = ledger;
    this.agents = agents;
    this.watch = watch;
    this.evidence = evidence;
    this.keys = keys;
    Random random = new Random();
    Map<String, Chooser> byModel = new LinkedHashMap<>();
    for (Route route : table.routes()) {
      gates.put(route.model(), new Gate(route.limits()));
      byModel.put(
          route.model(),
          new Chooser(watch.edges(route, workers), workers, gauges.reservations, random));
    }
    this.models = new Models(workers, watch, byModel);
  }

  /** What lets exchanges of a route in. */
  Gate gate(Route route) {
    return Objects.requireNonNull(gates.get(route.model()), "no such route");
  }

  /** All that is counted, in Prometheus' text format. */
  String metrics() {
    return carriages.text() + GatesText.of(gates);
  }

  /** Takes no more requests from now on. */
  void closing() {
    closing = true;
  }

  boolean isClosing() {
    return closing;
  }
}
