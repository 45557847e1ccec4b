package dev.millrace.router.admin;

import dev.millrace.config.Role;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.WorkerAddress;
import dev.millrace.router.discover.Members;
import dev.millrace.router.handoff.Ledger;
import dev.millrace.router.pools.Breaker;
import dev.millrace.router.pools.KvRoom;
import dev.millrace.router.pools.Worker;
import dev.millrace.router.pools.Workers;
import dev.millrace.router.telemetry.Gauges;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.util.Locale;
import java.util.Objects;

/** {@code /pd/workers}: what is open on each worker and in the router as a whole. */
final class WorkersPage {
  private WorkersPage() {}

  static JsonObject of(
      RoutingTable table,
      Workers workers,
      Members members,
      Gauges gauges,
      Ledger ledger,
      long nowNanos) {
    JsonArray all = new JsonArray();
    workers.all().map(worker -> json(table, members, worker, nowNanos)).forEach(all::add);
    JsonArray removed = new JsonArray();
    members
        .removed()
        .forEach(one ->
            removed.add(
                new JsonObject().put("pool", one.getKey()).put("url", one.getValue().toString())));
    Ledger.Totals ends = ledger.totals();
    return new JsonObject()
        .put("workers", all)
        .put("removed", removed)
        .put("open_exchanges", gauges.exchanges.get())
        .put("open_connections", gauges.connections.get())
        .put("reservations", gauges.reservations.get())
        .put(
            "hand_offs",
            new JsonObject()
                .put("open", ledger.open())
                .put("consumed", ends.consumed())
                .put("released", ends.released())
                .put("released_by_engine", ends.releasedByEngine())
                .put("released_by_agent", ends.releasedByAgent())
                .put("released_by_refused_request", ends.releasedByRequest())
                .put("expired", ends.expired())
                .put("lost", ends.lost())
                .put("unusable", ends.unusable()));
  }

  private static JsonObject health(Breaker breaker, long nowNanos) {
    Breaker.View now = breaker.view(nowNanos);
    return new JsonObject()
        .put("state", now.state())
        .put("why", now.why().isEmpty() ? null : now.why())
        .put("for_ms", now.left().toMillis())
        .put("ejections", breaker.ejections())
        .put("withheld", breaker.withheld());
  }

  /** One worker. */
  static JsonObject json(RoutingTable table, Members members, Worker worker, long nowNanos) {
    WorkerAddress address = address(table, worker);
    return new JsonObject()
        .put("pool", worker.pool())
        .put("role", worker.role().name().toLowerCase(Locale.ROOT))
        .put("url", worker.url())
        .put("source", address.source().keyword())
        .put("draining", worker.isDraining())
        .put("drained", worker.isDrained())
        .put("leaving", members.isLeaving(worker.pool(), address.url()))
        .put("open_legs", worker.openLegs())
        .put("reserved", worker.reserved())
        .put("load", worker.load())
        .put("hand_offs", worker.held())
        .put("legs", worker.totalLegs())
        .put("failed_legs", worker.totalFailedLegs())
        .put("health", health(worker.breaker(), nowNanos))
        .put("kv", worker.role() == Role.PREFILL ? null : kv(worker.kvRoom().view()));
  }

  private static JsonObject kv(KvRoom.View now) {
    return new JsonObject()
        .put("tokens", now.total())
        .put("reserved_tokens", now.reserved())
        .put("used_tokens", now.used())
        .put("unseen_tokens", now.unseen())
        .put("most_streams", now.mostStreams() == 0 ? null : now.mostStreams());
  }

  /** What is said of it now; who says it may be another one than when it came. */
  private static WorkerAddress address(RoutingTable table, Worker worker) {
    return Objects.requireNonNull(table.pools().get(worker.pool())).workers().stream()
        .filter(listed -> worker.isNamed(listed.url().toString()))
        .findFirst()
        .orElseThrow();
  }
}
