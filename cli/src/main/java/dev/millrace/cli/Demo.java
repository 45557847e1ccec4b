package dev.millrace.cli;

import dev.millrace.config.Admin;
import dev.millrace.config.AgentAddress;
import dev.millrace.config.Declared;
import dev.millrace.config.EngineKind;
import dev.millrace.config.Listen;
import dev.millrace.config.Pairing;
import dev.millrace.config.Pool;
import dev.millrace.config.Role;
import dev.millrace.config.Route;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.Stage;
import dev.millrace.config.WorkerAddress;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.compatibility.Fact;
import dev.millrace.router.Router;
import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.EngineRole;
import dev.millrace.simulator.SimulatedEngine;
import dev.millrace.simulator.Timing;
import io.vertx.core.Vertx;
import java.io.PrintWriter;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * Simulated prefill and decode engines, the router in front of them, and one aggregated engine that
 * says what the answers should be, on the loopback address. Router and aggregated engine run in
 * this process, the others where their transport is at home.
 */
final class Demo implements AutoCloseable {
  static final String LOOPBACK = "127.0.0.1";
  private static final int ROUTER_EVENT_LOOPS = 2;

  private final DemoSetup setup;
  private final Vertx vertx = Router.vertx();
  private final DemoEngines engines;
  private final SimulatedEngine aggregated;
  private final Router router;

  private Demo(DemoSetup setup, PrintWriter childrenOutput) {
    this.setup = setup;
    try {
      engines =
          switch (setup.transport()) {
            case TCP ->
                setup.hasGoBetween()
                    ? new EnginesApart(setup, childrenOutput)
                    : new EnginesHere(vertx, setup);
            case NIXL -> new EnginesApart(setup, childrenOutput);
          };
    } catch (RuntimeException e) {
      Startup.closed(vertx.close());
      throw e;
    }
    try {
      aggregated = engine(vertx, EngineRole.BOTH, setup.prefill(), Duration.ZERO);
      router =
          Startup.started(
              "the router (port %d, admin port %d)".formatted(setup.port(), setup.adminPort()),
              Router.start(vertx, table(), System::nanoTime));
      var _ = Startup.started("judging the pairs of workers", router.settled());
    } catch (RuntimeException e) {
      engines.close();
      Startup.closed(vertx.close());
      throw e;
    }
  }

  /**
   * Starts everything; it is ready when this returns.
   *
   * @param childrenOutput takes what engines in other processes print
   */
  static Demo start(DemoSetup setup, PrintWriter childrenOutput) {
    return new Demo(setup, childrenOutput);
  }

  /** Starts an engine in this process. */
  static SimulatedEngine engine(
      Vertx vertx, EngineRole role, GeometrySpec geometry, Duration interToken) {
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
        List.of(
            pool("prefill", Role.PREFILL, engines.prefill()),
            pool("decode", Role.DECODE, engines.decode()));
    List<AgentAddress> agents = engines.agent().stream().toList();
    Route route =
        Route.of(DemoSetup.MODEL, Stage.roundRobin("prefill"), Stage.leastActive("decode"))
            .withPairing(Pairing.defaults().withTransfer(setup.transfer()));
    return RoutingTable.of(listen, admin, pools, agents, List.of(route));
  }

  private Pool pool(String name, Role role, List<DemoEngine> engines) {
    Declared declared = declared(setup.prefill().model());
    List<WorkerAddress> workers =
        engines.stream()
            .map(engine ->
                WorkerAddress.of(engine.uri(), Optional.of(engine.sideChannel()), declared))
            .toList();
    EngineKind kind = setup.hasGoBetween() ? EngineKind.VLLM : EngineKind.MILLRACE_SIM;
    return Pool.of(name, role, DemoSetup.MODEL, kind, workers);
  }

  /** What no probe learns of the model. */
  private static Declared declared(ModelShape model) {
    String where = "the demo's flags";
    return Declared.nothing()
        .with(Fact.MODEL, DemoSetup.MODEL, where)
        .with(Fact.SHAPE, model, where)
        .with(Fact.HIDDEN_LAYERS, model.layers(), where);
  }

  DemoSetup setup() {
    return setup;
  }

  DemoEngines engines() {
    return engines;
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

  /** How blocks get from each prefill to each decode engine, and why so, a line each. */
  List<String> ways() {
    return router.ways();
  }

  /** What all decode engines have read from prefill engines so far. */
  BlocksRead blocksRead(HttpJson http) {
    return BlocksRead.of(http, engines.decode());
  }

  @Override
  public void close() {
    Startup.closed(router.close());
    engines.close();
    Startup.closed(aggregated.close());
    Startup.closed(vertx.close());
  }
}
