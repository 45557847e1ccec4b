package dev.millrace.router;

import dev.millrace.config.RoutingTable;
import dev.millrace.router.access.Keys;
import dev.millrace.router.access.KeysText;
import dev.millrace.router.agents.Agents;
import dev.millrace.router.choose.Keepers;
import dev.millrace.router.choose.RetriesText;
import dev.millrace.router.edges.Watch;
import dev.millrace.router.handoff.Ledger;
import dev.millrace.router.match.RoutesText;
import dev.millrace.router.pools.EvidenceCollector;
import dev.millrace.router.pools.Workers;
import dev.millrace.router.pools.WorkersText;
import dev.millrace.router.telemetry.Carriages;
import dev.millrace.router.telemetry.Gauges;
import dev.millrace.router.telemetry.RecentExchanges;
import java.util.Collection;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;
import java.util.function.LongSupplier;

/**
 * What all event loops of a router share: counters and books that last, and the floor that the
 * routing table makes.
 */
final class House {
  private static final int KEPT_EXCHANGES = 1000;

  final LongSupplier nanoClock;
  final Gauges gauges;
  final Carriages carriages = new Carriages();
  final Ledger ledger;
  final Keepers keepers;
  final RecentExchanges recent = new RecentExchanges(KEPT_EXCHANGES);
  final Agents agents;
  final EvidenceCollector evidence;
  private final Collection<Consumer<Floor>> onChange = new CopyOnWriteArrayList<>();
  private volatile Floor floor;
  private volatile boolean closing;

  House(
      LongSupplier nanoClock,
      Gauges gauges,
      Ledger ledger,
      Agents agents,
      EvidenceCollector evidence,
      Floor first) {
    this.nanoClock = nanoClock;
    this.gauges = gauges;
    this.ledger = ledger;
    this.keepers = new Keepers(nanoClock);
    this.agents = agents;
    this.evidence = evidence;
    this.floor = first;
    first.workers().decoding().forEach(evidence::legEnded);
  }

  /** What the table makes that is in force now. */
  Floor floor() {
    return floor;
  }

  /** Changes over to another one. */
  void changeTo(Floor next) {
    Floor before = floor;
    next.takeOver();
    floor = next;
    before.watch().end();
    onChange.forEach(told -> told.accept(next));
    next.workers().decoding().forEach(evidence::legEnded);
  }

  /** Tells somebody of each floor that takes another one's place. */
  void whenChanged(Consumer<Floor> told) {
    onChange.add(told);
  }

  RoutingTable table() {
    return floor.table();
  }

  Workers workers() {
    return floor.workers();
  }

  Watch watch() {
    return floor.watch();
  }

  Models models() {
    return floor.models();
  }

  Keys keys() {
    return floor.keys();
  }

  /** All that is counted, in Prometheus' text format. */
  String metrics() {
    Floor now = floor;
    return carriages.text()
        + RoutesText.of(now.routes().all())
        + RetriesText.of(now.routes().choosers())
        + WorkersText.of(now.workers())
        + KeysText.of(now.keys());
  }

  /** Takes no more requests from now on. */
  void closing() {
    closing = true;
  }

  boolean isClosing() {
    return closing;
  }
}
