package dev.millrace.router.admin;

import dev.millrace.config.EffectiveTable;
import dev.millrace.config.RoutingTable;
import dev.millrace.router.agents.Agents;
import dev.millrace.router.edges.RouteEdges;
import dev.millrace.router.edges.Watch;
import dev.millrace.router.handoff.Ledger;
import dev.millrace.router.http.Problem;
import dev.millrace.router.pools.Worker;
import dev.millrace.router.pools.Workers;
import dev.millrace.router.telemetry.Gauges;
import dev.millrace.router.telemetry.RecentExchanges;
import dev.millrace.router.telemetry.Waterfall;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/** The operators' paths. */
public final class AdminDoor {
  private static final String REQUESTS = "/pd/requests/";
  private static final String PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8";

  private final Supplier<RoutingTable> table;
  private final LongSupplier nanoClock;
  private final BooleanSupplier closing;
  private final Supplier<Workers> workers;
  private final Agents agents;
  private final Supplier<Watch> watch;
  private final Ledger ledger;
  private final Gauges gauges;
  private final Supplier<String> metrics;
  private final RecentExchanges recent;
  private final Supplier<Future<Change>> reload;

  /**
   * What came of a change.
   *
   * @param status of HTTP
   * @param body in words for people and programs
   */
  public record Change(int status, JsonObject body) {}

  /** Shows these. */
  public AdminDoor(
      Supplier<RoutingTable> table,
      LongSupplier nanoClock,
      BooleanSupplier closing,
      Supplier<Workers> workers,
      Agents agents,
      Supplier<Watch> watch,
      Ledger ledger,
      Gauges gauges,
      Supplier<String> metrics,
      RecentExchanges recent,
      Supplier<Future<Change>> reload) {
    this.table = table;
    this.nanoClock = nanoClock;
    this.closing = closing;
    this.workers = workers;
    this.agents = agents;
    this.watch = watch;
    this.ledger = ledger;
    this.gauges = gauges;
    this.metrics = metrics;
    this.recent = recent;
    this.reload = reload;
  }

  /** Answers a request. */
  public void handle(HttpServerRequest request) {
    String path = String.valueOf(request.path());
    if (request.method().equals(HttpMethod.POST)) {
      change(request, path);
    } else if (!request.method().equals(HttpMethod.GET)) {
      refuse(
          request,
          Problem.ofClient(405, "method_not_allowed", "The admin port takes GET and POST"));
    } else if (path.startsWith(REQUESTS)) {
      one(request, path.substring(REQUESTS.length()));
    } else {
      switch (path) {
        case "/livez" -> answer(request, new JsonObject().put("status", "alive"));
        case "/readyz" -> ready(request);
        case "/metrics" ->
            request.response().putHeader(HttpHeaders.CONTENT_TYPE, PROMETHEUS).end(metrics.get());
        case "/pd/config" ->
            answer(request, new JsonObject(EffectiveTable.withMembers(table.get())));
        case "/pd/workers" ->
            answer(
                request,
                WorkersPage.of(
                    table.get(), workers.get(), gauges, ledger, nanoClock.getAsLong()));
        case "/pd/matrix" -> answer(request, MatrixPage.of(watch.get(), nanoClock.getAsLong()));
        case "/pd/agents" -> answer(request, AgentsPage.of(agents));
        case "/pd/handoffs" -> answer(request, HandOffsPage.of(ledger, nanoClock.getAsLong()));
        case "/pd/requests" -> answer(request, requests());
        default ->
            refuse(request, Problem.ofClient(404, "unknown_path", "There is nothing at " + path));
      }
    }
  }

  private void ready(HttpServerRequest request) {
    if (closing.getAsBoolean()) {
      request.response().setStatusCode(503);
      answer(request, new JsonObject().put("status", "shutting down"));
    } else {
      answer(request, new JsonObject().put("status", "ready"));
    }
  }

  private void change(HttpServerRequest request, String path) {
    switch (path) {
      case "/pd/drain" -> drain(request, true);
      case "/pd/resume" -> drain(request, false);
      case "/pd/reload" ->
          reload
              .get()
              .onSuccess(change -> {
                request.response().setStatusCode(change.status());
                answer(request, change.body());
              });
      default ->
          refuse(
              request,
              Problem.ofClient(404, "unknown_path", "There is nothing to POST to at " + path));
    }
  }

  /** Every worker with this URL: one may be of several pools. */
  private void drain(HttpServerRequest request, boolean out) {
    String url = String.valueOf(request.getParam("worker"));
    List<Worker> named = workers.get().all().filter(worker -> worker.isNamed(url)).toList();
    if (named.isEmpty()) {
      refuse(
          request,
          Problem.ofClient(
              404,
              "unknown_worker",
              "No worker is \"%s\"; ?worker= takes a URL of GET /pd/workers".formatted(url)));
      return;
    }
    named.forEach(worker -> worker.drain(out));
    watch.get().routes().forEach(RouteEdges::workersChanged);
    JsonArray now = new JsonArray();
    named.forEach(worker ->
        now.add(WorkersPage.json(table.get(), worker, nanoClock.getAsLong())));
    answer(request, new JsonObject().put("workers", now));
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
