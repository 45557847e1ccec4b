package dev.millrace.router.admin;

import dev.millrace.config.EffectiveTable;
import dev.millrace.config.RoutingTable;
import dev.millrace.router.agents.Agents;
import dev.millrace.router.discover.Members;
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
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** The operators' paths. */
public final class AdminDoor {
  private static final String REQUESTS = "/pd/requests/";
  private static final String WORKERS = "/pd/workers";
  private static final String PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8";

  /** A worker with all that can be declared of it has a few. */
  private static final int MOST_BODY_BYTES = 64 << 10;

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
  private final Members members;
  private final Roster roster;

  /**
   * What came of a change.
   *
   * @param status of HTTP
   * @param body in words for people and programs
   */
  public record Change(int status, JsonObject body) {
    /** There was none, for a reason. */
    public static Change refused(Problem problem) {
      return new Change(problem.status(), new JsonObject(Buffer.buffer(problem.body("admin"))));
    }
  }

  /** Adds workers to pools and removes them. What it changes has the worker's {@code url}. */
  public interface Roster {
    /** Adds the worker that a text describes. */
    Future<Change> add(String text);

    /** Removes a worker from one pool, or from all that have it. */
    Future<Change> remove(String url, @Nullable String pool);
  }

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
      Supplier<Future<Change>> reload,
      Members members,
      Roster roster) {
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
    this.members = members;
    this.roster = roster;
  }

  /** Answers a request. */
  public void handle(HttpServerRequest request) {
    String path = String.valueOf(request.path());
    if (request.method().equals(HttpMethod.POST)) {
      change(request, path);
    } else if (request.method().equals(HttpMethod.DELETE) && path.equals(WORKERS)) {
      answerOnce(
          request,
          roster.remove(String.valueOf(request.getParam("url")), request.getParam("pool")));
    } else if (!request.method().equals(HttpMethod.GET)) {
      refuse(
          request,
          Problem.ofClient(
              405,
              "method_not_allowed",
              "The admin port takes GET and POST, and DELETE at /pd/workers"));
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
        case WORKERS ->
            answer(
                request,
                WorkersPage.of(
                    table.get(), workers.get(), members, gauges, ledger, nanoClock.getAsLong()));
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
      case "/pd/reload" -> answerOnce(request, reload.get());
      case WORKERS -> whole(request, text -> answerOnce(request, roster.add(text)));
      default ->
          refuse(
              request,
              Problem.ofClient(404, "unknown_path", "There is nothing to POST to at " + path));
    }
  }

  private void whole(HttpServerRequest request, Consumer<String> taker) {
    Buffer body = Buffer.buffer();
    request.exceptionHandler(left -> {});
    request.handler(piece -> {
      if (body.length() <= MOST_BODY_BYTES) {
        body.appendBuffer(piece);
      }
    });
    request.endHandler(v -> {
      if (body.length() > MOST_BODY_BYTES) {
        refuse(
            request,
            Problem.ofClient(413, "body_too_large", "A worker is described in 64 KiB at most"));
      } else {
        taker.accept(body.toString());
      }
    });
  }

  private void answerOnce(HttpServerRequest request, Future<Change> changing) {
    changing.onSuccess(change -> {
      JsonObject body = change.body();
      String url = body.getString("url");
      request.response().setStatusCode(change.status());
      answer(request, url == null ? body : body.put("workers", json(named(url))));
    });
  }

  private List<Worker> named(String url) {
    return workers.get().all().filter(worker -> worker.isNamed(url)).toList();
  }

  private JsonArray json(List<Worker> some) {
    JsonArray json = new JsonArray();
    some.forEach(
        worker -> json.add(WorkersPage.json(table.get(), members, worker, nanoClock.getAsLong())));
    return json;
  }

  /** Every worker with this URL: one may be of several pools. */
  private void drain(HttpServerRequest request, boolean out) {
    String url = String.valueOf(request.getParam("worker"));
    List<Worker> named = named(url);
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
    answer(request, new JsonObject().put("workers", json(named)));
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
