package dev.millrace.router.admin;

import dev.millrace.router.handoff.Ledger;
import dev.millrace.router.http.Problem;
import dev.millrace.router.pools.Worker;
import dev.millrace.router.pools.Workers;
import dev.millrace.router.telemetry.Gauges;
import dev.millrace.router.telemetry.RecentExchanges;
import dev.millrace.router.telemetry.Waterfall;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.util.Locale;

/** The operators' paths. */
public final class AdminDoor {
  private static final String REQUESTS = "/pd/requests/";

  private final Workers workers;
  private final Ledger ledger;
  private final Gauges gauges;
  private final RecentExchanges recent;

  /** Shows these. */
  public AdminDoor(Workers workers, Ledger ledger, Gauges gauges, RecentExchanges recent) {
    this.workers = workers;
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
                .put("expired", ends.expired())
                .put("lost", ends.lost())
                .put("unusable", ends.unusable()));
  }

  private static JsonObject json(Worker worker) {
    return new JsonObject()
        .put("pool", worker.pool())
        .put("role", worker.role().name().toLowerCase(Locale.ROOT))
        .put("url", worker.url())
        .put("open_legs", worker.openLegs())
        .put("reserved", worker.reserved())
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
