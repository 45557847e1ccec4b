package dev.millrace.router.admin;

import dev.millrace.router.agents.Agent;
import dev.millrace.router.agents.Agents;
import dev.millrace.router.handoff.HandOff;
import dev.millrace.router.handoff.Ledger;
import dev.millrace.router.http.Problem;
import dev.millrace.router.pools.Worker;
import dev.millrace.router.pools.Workers;
import dev.millrace.router.telemetry.Gauges;
import dev.millrace.router.telemetry.RecentExchanges;
import dev.millrace.router.telemetry.Waterfall;
import dev.millrace.transfer.rpc.v1.DescribeReply;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.util.Locale;
import java.util.function.LongSupplier;

/** The operators' paths. */
public final class AdminDoor {
  private static final String REQUESTS = "/pd/requests/";

  private final LongSupplier nanoClock;
  private final Workers workers;
  private final Agents agents;
  private final Ledger ledger;
  private final Gauges gauges;
  private final RecentExchanges recent;

  /** Shows these. */
  public AdminDoor(
      LongSupplier nanoClock,
      Workers workers,
      Agents agents,
      Ledger ledger,
      Gauges gauges,
      RecentExchanges recent) {
    this.nanoClock = nanoClock;
    this.workers = workers;
    this.agents = agents;
    this.ledger = ledger;
    this.gauges = gauges;
    this.recent = recent;
  }

  /** Answers a request. */
  public void handle(HttpServerRequest request) {
    String path = String.valueOf(request.path());
    if (!request.method().equals(HttpMethod.GET)) {
      refuse(request, Problem.ofClient(405, "method_not_allowed", "The admin port takes GET"));
    } else if (path.startsWith(REQUESTS)) {
      one(request, path.substring(REQUESTS.length()));
    } else {
      switch (path) {
        case "/livez" -> answer(request, new JsonObject().put("status", "alive"));
        case "/readyz" -> answer(request, new JsonObject().put("status", "ready"));
        case "/pd/workers" -> answer(request, workers());
        case "/pd/agents" -> answer(request, agents());
        case "/pd/handoffs" -> answer(request, handOffs());
        case "/pd/requests" -> answer(request, requests());
        default ->
            refuse(request, Problem.ofClient(404, "unknown_path", "There is nothing at " + path));
      }
    }
  }

  private void one(HttpServerRequest request, String id) {
    recent
        .find(id)
        .ifPresentOrElse(
            found -> answer(request, found.toJson()),
            () ->
                refuse(
                    request,
                    Problem.ofClient(
                        404,
                        "unknown_request",
                        "No settled exchange has this id; the last 1000 are kept")));
  }

  private JsonObject requests() {
    JsonArray ids = new JsonArray();
    recent.newestFirst().stream().limit(100).map(Waterfall::requestId).forEach(ids::add);
    return new JsonObject().put("requests", ids);
  }

  private JsonObject workers() {
    JsonArray all = new JsonArray();
    workers.all().map(AdminDoor::json).forEach(all::add);
    Ledger.Totals ends = ledger.totals();
    return new JsonObject()
        .put("workers", all)
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

  private JsonObject handOffs() {
    long now = nanoClock.getAsLong();
    JsonArray open = new JsonArray();
    for (HandOff entry : ledger.entries()) {
      Worker reader = entry.reader();
      open.add(
          new JsonObject()
              .put("request_id", entry.pinned().requestId())
              .put("prefill", entry.holder().url())
              .put("decode", reader == null ? null : reader.url())
              .put("engine_id", entry.pinned().engineId())
              .put("tokens", entry.pinned().tokens())
              .put("blocks", entry.pinned().blocks())
              .put("age_ms", (now - entry.sinceNanos()) / 1_000_000)
              .put("lease_left_ms", entry.leaseLeft(now).toMillis()));
    }
    return new JsonObject().put("handoffs", open);
  }

  private JsonObject agents() {
    JsonArray all = new JsonArray();
    for (Agent agent : agents.all()) {
      JsonObject one = new JsonObject().put("url", agent.url()).put("calls", agent.calls());
      DescribeReply said = agent.said();
      if (said == null) {
        one.put("state", "unreachable").put("why", agent.trouble());
      } else {
        one.put("state", "up")
            .put("transport", said.getTransport())
            .put("memory_budget_bytes", said.getMemoryBudgetBytes())
            .put("held_bytes", said.getHeldBytes())
            .put("quarantined_bytes", said.getQuarantinedBytes())
            .put("held_copies", said.getHeldCopies())
            .put("open_reads", said.getOpenReads());
      }
      all.add(one);
    }
    return new JsonObject().put("agents", all);
  }

  private static JsonObject json(Worker worker) {
    return new JsonObject()
        .put("pool", worker.pool())
        .put("role", worker.role().name().toLowerCase(Locale.ROOT))
        .put("url", worker.url())
        .put("open_legs", worker.openLegs())
        .put("reserved", worker.reserved())
        .put("hand_offs", worker.held())
        .put("legs", worker.totalLegs())
        .put("failed_legs", worker.totalFailedLegs());
  }

  private static void answer(HttpServerRequest request, JsonObject body) {
    request.response().putHeader(HttpHeaders.CONTENT_TYPE, "application/json").end(body.toBuffer());
  }

  private static void refuse(HttpServerRequest request, Problem problem) {
    request
        .response()
        .setStatusCode(problem.status())
        .putHeader(HttpHeaders.CONTENT_TYPE, "application/json")
        .end(Buffer.buffer(problem.body("admin")));
  }
}
