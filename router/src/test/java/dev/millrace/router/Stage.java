package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Admin;
import dev.millrace.config.AgentAddress;
import dev.millrace.config.EngineKind;
import dev.millrace.config.Listen;
import dev.millrace.config.Pairing;
import dev.millrace.config.Pool;
import dev.millrace.config.Role;
import dev.millrace.config.Route;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.Verify;
import dev.millrace.config.WorkerAddress;
import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.SimulatedEngine;
import io.vertx.core.Vertx;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BooleanSupplier;
import java.util.function.LongSupplier;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * Engines, a router before them and a client, for one test. Afterwards everything the router counts
 * must be zero: whatever a test does to it, nothing may stay open.
 */
final class Stage implements BeforeEachCallback, AfterEachCallback {
  static final Duration GENEROUS = Duration.ofSeconds(30);
  static final String MODEL = "tiny";

  private final List<AutoCloseable> engines = new ArrayList<>();
  private final List<ScriptedEngine> scripted = new ArrayList<>();
  private Vertx vertx = Vertx.vertx();
  private Router router;
  private HttpClient client = HttpClient.newHttpClient();
  private LongSupplier clock = System::nanoTime;

  @SuppressWarnings("NullAway.Init") // the router is there once a test has opened it
  Stage() {}

  @Override
  public void beforeEach(ExtensionContext context) {
    begin();
  }

  @Override
  public void afterEach(ExtensionContext context) throws Exception {
    end();
  }

  void begin() {
    vertx.close();
    vertx = Router.vertx();
  }

  void end() throws Exception {
    client.close();
    if (router != null) {
      await("everything the router counts is zero", () -> router.occupancy().isIdle());
      await("no client is connected", () -> router.occupancy().connections() == 0);
      if (!vertx.deploymentIDs().isEmpty()) {
        router.close().await(10, TimeUnit.SECONDS);
      }
    }
    for (AutoCloseable engine : engines) {
      engine.close();
    }
    vertx.close().await(10, TimeUnit.SECONDS);
    for (ScriptedEngine engine : scripted) {
      assertThat(engine.failures()).isEmpty();
    }
  }

  ScriptedEngine engine(ScriptedEngine.Script script) {
    ScriptedEngine engine = ScriptedEngine.playing(script);
    engines.add(engine);
    scripted.add(engine);
    return engine;
  }

  <E extends AutoCloseable> E closing(E engine) {
    engines.add(engine);
    return engine;
  }

  /** A simulated engine that ends with the test. */
  SimulatedEngine simulated(EngineConfig config) throws Exception {
    SimulatedEngine engine = SimulatedEngine.start(vertx, config).await(10, TimeUnit.SECONDS);
    closing(() -> engine.close().await(10, TimeUnit.SECONDS));
    return engine;
  }

  Vertx vertx() {
    return vertx;
  }

  Router open(ScriptedEngine prefill, ScriptedEngine decode) {
    return open(List.of(prefill.url()), List.of(decode.url()), UnaryOperator.identity());
  }

  Router open(ScriptedEngine prefill, ScriptedEngine decode, int eventLoops) {
    return open(
        List.of(prefill.url()),
        List.of(decode.url()),
        UnaryOperator.identity(),
        Listen.defaults().withPort(0).withEventLoops(eventLoops));
  }

  /** Routers go by another clock, if they are opened after that. */
  void goBy(LongSupplier nanoClock) {
    clock = nanoClock;
  }

  Router open(List<URI> prefill, List<URI> decode, UnaryOperator<Route> tuned) {
    return open(prefill, decode, tuned, Listen.defaults().withPort(0).withEventLoops(2));
  }

  Router open(List<URI> prefill, List<URI> decode, UnaryOperator<Route> tuned, Listen listen) {
    return open(pool("p", Role.PREFILL, prefill), decode, tuned, listen, List.of());
  }

  Router open(
      List<URI> prefill, List<URI> decode, UnaryOperator<Route> tuned, List<AgentAddress> agents) {
    Listen listen = Listen.defaults().withPort(0).withEventLoops(2);
    return open(pool("p", Role.PREFILL, prefill), decode, tuned, listen, agents);
  }

  /** Opens a router before one prefill worker, of which the table says something. */
  Router open(WorkerAddress prefill, URI decode, AgentAddress... agents) {
    Pool p = Pool.of("p", Role.PREFILL, MODEL, EngineKind.VLLM, List.of(prefill));
    Listen listen = Listen.defaults().withPort(0).withEventLoops(1);
    return open(p, List.of(decode), UnaryOperator.identity(), listen, List.of(agents));
  }

  /** Opens a router before two workers, of which the table says something. */
  Router open(WorkerAddress prefill, WorkerAddress decode, UnaryOperator<Route> tuned) {
    return open(
        Pool.of("p", Role.PREFILL, MODEL, EngineKind.MILLRACE_SIM, List.of(prefill)),
        Pool.of("d", Role.DECODE, MODEL, EngineKind.MILLRACE_SIM, List.of(decode)),
        tuned,
        Listen.defaults().withPort(0).withEventLoops(1),
        List.of());
  }

  private Router open(
      Pool p,
      List<URI> decode,
      UnaryOperator<Route> tuned,
      Listen listen,
      List<AgentAddress> agents) {
    return open(p, pool("d", Role.DECODE, decode), tuned, listen, agents);
  }

  private Router open(
      Pool p, Pool d, UnaryOperator<Route> tuned, Listen listen, List<AgentAddress> agents) {
    Route route =
        tuned.apply(
            Route.of(
                    MODEL,
                    dev.millrace.config.Stage.roundRobin("p"),
                    dev.millrace.config.Stage.leastActive("d"))
                // Scripted engines cannot say what they are.
                .withPairing(Pairing.defaults().withVerify(Verify.TRUST)));
    RoutingTable table =
        RoutingTable.of(
            listen, Admin.defaults().withPort(0), List.of(p, d), agents, List.of(route));
    try {
      router = Router.start(vertx, table, clock).await(10, TimeUnit.SECONDS);
    } catch (java.util.concurrent.TimeoutException e) {
      throw new AssertionError(e);
    }
    return router;
  }

  /** Opens a router whose table can be read anew. */
  void open(RoutingTable table, TableSource source) throws Exception {
    router = Router.start(vertx, table, source, System::nanoTime).await(10, TimeUnit.SECONDS);
  }

  /** Opens a router that asks its workers what they are, and waits until it knows. */
  Router openProbing(List<Pool> pools, Route... routes) throws Exception {
    return openProbing(pools, List.of(), routes);
  }

  Router openProbing(List<Pool> pools, List<AgentAddress> agents, Route... routes)
      throws Exception {
    Listen listen = Listen.defaults().withPort(0).withEventLoops(1);
    RoutingTable table =
        RoutingTable.of(listen, Admin.defaults().withPort(0), pools, agents, List.of(routes));
    router = Router.start(vertx, table, System::nanoTime).await(10, TimeUnit.SECONDS);
    router.settled().await(20, TimeUnit.SECONDS);
    return router;
  }

  private static Pool pool(String name, Role role, List<URI> urls) {
    return Pool.of(
        name, role, MODEL, EngineKind.MILLRACE_SIM, urls.stream().map(WorkerAddress::of).toList());
  }

  URI url(String path) {
    return URI.create("http://127.0.0.1:" + router.port() + path);
  }

  URI adminUrl(String path) {
    return URI.create("http://127.0.0.1:" + router.adminPort() + path);
  }

  HttpResponse<String> post(String path, String body, String... headers) {
    return post(url(path), body, headers);
  }

  HttpResponse<String> post(URI url, String body, String... headers) {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(url)
            .timeout(GENEROUS)
            .header("content-type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(body));
    for (int i = 0; i < headers.length; i += 2) {
      request.header(headers[i], headers[i + 1]);
    }
    return send(request.build());
  }

  HttpResponse<String> get(URI url) {
    return send(HttpRequest.newBuilder(url).timeout(GENEROUS).build());
  }

  /** What is noted of an exchange, which is once it has settled: a moment after its answer. */
  JsonObject record(String requestId) {
    URI page = adminUrl("/pd/requests/" + requestId);
    try {
      await("the exchange has settled", () -> get(page).statusCode() == 200);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
    return new JsonObject(get(page).body());
  }

  HttpResponse<String> send(HttpRequest request) {
    try {
      return client.send(request, HttpResponse.BodyHandlers.ofString());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  HttpClient client() {
    return client;
  }

  RawClient raw() {
    return RawClient.to(router.port());
  }

  Router router() {
    return router;
  }

  /** Whether the metrics have this number of the route for {@link #MODEL}. */
  boolean counted(String name, int value) {
    return get(adminUrl("/metrics"))
        .body()
        .contains("millrace_route_%s{route=\"%s\"} %d\n".formatted(name, MODEL, value));
  }

  /** Something that is done while clients ask. */
  interface Doing {
    void run() throws Exception;
  }

  /** Does something while clients ask again and again, each of whom must be answered each time. */
  void whileAsked(int clients, String path, String body, Doing doing) throws Exception {
    AtomicBoolean over = new AtomicBoolean();
    try (ExecutorService threads = Executors.newFixedThreadPool(clients)) {
      List<Future<Integer>> asked = new ArrayList<>();
      for (int i = 0; i < clients; i++) {
        asked.add(
            threads.submit(() -> {
              int served = 0;
              while (!over.get()) {
                HttpResponse<String> answer = post(path, body);
                assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
                served++;
              }
              return served;
            }));
      }
      try {
        doing.run();
      } finally {
        over.set(true);
      }
      int served = 0;
      for (Future<Integer> each : asked) {
        served += each.get();
      }
      assertThat(served).isPositive();
    }
  }

  static void await(String what, BooleanSupplier condition) throws InterruptedException {
    long end = System.nanoTime() + GENEROUS.toNanos();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() > end) {
        throw new AssertionError("not within " + GENEROUS + ": " + what);
      }
      Thread.sleep(2);
    }
  }

  /** A file of {@code vllm-0.32.0/}, as a real engine sent it. */
  static String recorded(String name) {
    return new String(recordedBytes(name), StandardCharsets.UTF_8);
  }

  static byte[] recordedBytes(String name) {
    try (var in = Stage.class.getResourceAsStream("/vllm-0.32.0/" + name)) {
      if (in == null) {
        throw new AssertionError("no recording " + name);
      }
      byte[] all = in.readAllBytes();
      return Arrays.copyOf(all, all.length);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
