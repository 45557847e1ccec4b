package dev.millrace.cli;

import dev.millrace.config.Admin;
import dev.millrace.config.EngineKind;
import dev.millrace.config.HostPort;
import dev.millrace.config.Listen;
import dev.millrace.config.Pool;
import dev.millrace.config.Role;
import dev.millrace.config.Route;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.Stage;
import dev.millrace.config.WorkerAddress;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.router.Router;
import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.EngineRole;
import dev.millrace.simulator.EngineStats;
import dev.millrace.simulator.SimulatedEngine;
import dev.millrace.simulator.Timing;
import io.vertx.core.Vertx;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * Simulated prefill and decode engines, the router in front of them, and one aggregated engine that
 * says what the answers should be; all in this process and on the loopback address.
 */
final class Demo implements AutoCloseable {
  private static final String LOOPBACK = "127.0.0.1";
  private static final int ROUTER_EVENT_LOOPS = 2;

  private final DemoSetup setup;
  private final Vertx vertx = Router.vertx();
  private final List<SimulatedEngine> prefill = new ArrayList<>();
  private final List<SimulatedEngine> decode = new ArrayList<>();
  private final SimulatedEngine aggregated;
  private final Router router;

  private Demo(DemoSetup setup) {
    this.setup = setup;
    try {
      for (int i = 0; i < setup.prefillCount(); i++) {
        prefill.add(engine(EngineRole.PREFILL, setup.prefill(), Duration.ZERO));
      }
      for (int i = 0; i < setup.decodeCount(); i++) {
        decode.add(engine(EngineRole.DECODE, setup.decode(), setup.interToken()));
      }
      aggregated = engine(EngineRole.BOTH, setup.prefill(), Duration.ZERO);
      router =
          Startup.started(
              "the router (port %d, admin port %d)".formatted(setup.port(), setup.adminPort()),
              Router.start(vertx, table(), System::nanoTime));
      var _ = Startup.started("judging the pairs of workers", router.settled());
    } catch (RuntimeException e) {
      Startup.closed(vertx.close());
      throw e;
    }
  }

  /** Starts everything; it is ready when this returns. */
  static Demo start(DemoSetup setup) {
    return new Demo(setup);
  }

  private SimulatedEngine engine(EngineRole role, GeometrySpec geometry, Duration interToken) {
    EngineConfig config =
        EngineConfig.builder()
            .role(role)
            .model(DemoSetup.MODEL)
            .geometry(geometry)
            .host(LOOPBACK)
            .timing(new Timing(0, interToken))
            .build();
    return Startup.started(
        "a simulated " + Words.of(role) + " engine", SimulatedEngine.start(vertx, config));
  }

  private RoutingTable table() {
    Listen listen = Listen.defaults().withPort(setup.port()).withEventLoops(ROUTER_EVENT_LOOPS);
    Admin admin = Admin.defaults().withPort(setup.adminPort());
    List<Pool> pools =
        List.of(pool("prefill", Role.PREFILL, prefill), pool("decode", Role.DECODE, decode));
    Route route =
        Route.of(DemoSetup.MODEL, Stage.roundRobin("prefill"), Stage.leastActive("decode"));
    return RoutingTable.of(listen, admin, pools, List.of(route));
  }

  private static Pool pool(String name, Role role, List<SimulatedEngine> engines) {
    List<WorkerAddress> workers = engines.stream().map(Demo::address).toList();
    return Pool.of(name, role, DemoSetup.MODEL, EngineKind.MILLRACE_SIM, workers);
  }

  private static WorkerAddress address(SimulatedEngine engine) {
    int port = engine.sideChannelPort();
    return port == 0
        ? WorkerAddress.of(engine.uri())
        : WorkerAddress.of(engine.uri(), new HostPort(LOOPBACK, port));
  }

  DemoSetup setup() {
    return setup;
  }

  List<SimulatedEngine> prefill() {
    return List.copyOf(prefill);
  }

  List<SimulatedEngine> decode() {
    return List.copyOf(decode);
  }

  SimulatedEngine aggregated() {
    return aggregated;
  }

  Router router() {
    return router;
  }

  URI routerUrl() {
    return URI.create("http://%s:%d".formatted(LOOPBACK, router.port()));
  }

  URI adminUrl() {
    return URI.create("http://%s:%d".formatted(LOOPBACK, router.adminPort()));
  }

  /** Bytes that all decode engines have read from prefill engines so far. */
  long bytesRead() {
    return decode.stream()
        .map(SimulatedEngine::stats)
        .mapToLong(EngineStats::bytesTransferred)
        .sum();
  }

  /** Runs in which all decode engines have read them. */
  long runsRead() {
    return decode.stream().map(SimulatedEngine::stats).mapToLong(EngineStats::runs).sum();
  }

  @Override
  public void close() {
    Startup.closed(router.close());
    prefill.forEach(engine -> Startup.closed(engine.close()));
    decode.forEach(engine -> Startup.closed(engine.close()));
    Startup.closed(aggregated.close());
    Startup.closed(vertx.close());
  }
}
