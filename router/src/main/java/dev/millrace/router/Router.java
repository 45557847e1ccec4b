package dev.millrace.router;

import dev.millrace.config.Loaded;
import dev.millrace.config.Pool;
import dev.millrace.config.RoutingTable;
import dev.millrace.layout.compatibility.Way;
import dev.millrace.router.access.Keys;
import dev.millrace.router.admin.AdminDoor;
import dev.millrace.router.agents.Agents;
import dev.millrace.router.agents.Heartbeats;
import dev.millrace.router.discover.Members;
import dev.millrace.router.edges.EdgeState;
import dev.millrace.router.edges.ProfileJudge;
import dev.millrace.router.edges.Watch;
import dev.millrace.router.handoff.Ledger;
import dev.millrace.router.pools.EvidenceCollector;
import dev.millrace.router.pools.Worker;
import dev.millrace.router.probe.EngineCalls;
import dev.millrace.router.probe.Prober;
import dev.millrace.router.telemetry.Gauges;
import dev.millrace.transfer.sidechannel.SideChannelClient;
import io.vertx.core.DeploymentOptions;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.VerticleBase;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpVersion;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import io.vertx.core.net.ServerSSLOptions;
import io.vertx.core.transport.Transport;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BooleanSupplier;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The HTTP endpoint: a public port served by several event loops, and one for operators. */
public final class Router {
  private static final Logger LOG = LoggerFactory.getLogger(Router.class);

  /** A refused request takes a prefill engine a moment to hear of; an agent less. */
  private static final Duration RELEASE_WITHIN = Duration.ofSeconds(3);

  /**
   * Streams that a client may give up on one HTTP/2 connection within {@link #RESET_WITHIN}: a
   * gateway before the router does so for many clients that leave. More is an attack
   * (CVE-2023-44487), and the connection is cut.
   */
  private static final int MOST_RESET_STREAMS = 1000;

  private static final Duration RESET_WITHIN = Duration.ofSeconds(10);
  private static final Duration LOOK_AGAIN = Duration.ofMillis(20);
  private static final Duration COUNTERS_WITHIN = Duration.ofSeconds(2);

  private final Vertx vertx;
  private final Operations operations;
  private final House house;
  private final Collection<Public> doors;
  private final String lanes;
  private final String admin;
  private final int port;
  private final AtomicBoolean closed = new AtomicBoolean();
  private final Promise<Void> whenClosed = Promise.promise();

  private Router(
      Vertx vertx,
      Operations operations,
      Collection<Public> doors,
      String lanes,
      String admin,
      int port) {
    this.vertx = vertx;
    this.operations = operations;
    this.house = operations.house();
    this.doors = doors;
    this.lanes = lanes;
    this.admin = admin;
    this.port = port;
  }

  /** A Vert.x on the transport that suits a router best: epoll where there is one. */
  public static Vertx vertx() {
    return Transport.EPOLL != null && Transport.EPOLL.available()
        ? Vertx.builder().withTransport(Transport.EPOLL).build()
        : Vertx.vertx();
  }

  /**
   * Opens the ports of a routing table.
   *
   * @param nanoClock what {@link System#nanoTime} is, for every moment that is noted
   */
  public static Future<Router> start(Vertx vertx, RoutingTable table, LongSupplier nanoClock) {
    return start(vertx, table, () -> new Loaded.Valid(table), nanoClock);
  }

  /**
   * Opens the ports of a routing table.
   *
   * @param source where the table was read, to be read anew by {@link #reload}
   * @param nanoClock what {@link System#nanoTime} is, for every moment that is noted
   */
  public static Future<Router> start(
      Vertx vertx, RoutingTable table, TableSource source, LongSupplier nanoClock) {
    Operations operations = new Operations(table, source, nanoClock);
    return vertx
        .deployVerticle(operations)
        .compose(admin ->
            openPublic(vertx, operations, admin)
                .recover(
                    e -> vertx.undeploy(admin).transform(v -> Future.<Router>failedFuture(e))));
  }

  private static Future<Router> openPublic(Vertx vertx, Operations operations, String admin) {
    House house = operations.house();
    AtomicInteger port = new AtomicInteger();
    SplittableRandom seeds = new SplittableRandom(new SecureRandom().nextLong());
    Collection<Public> doors = new ConcurrentLinkedQueue<>();
    return vertx
        .deployVerticle(
            () -> {
              Public door = new Public(house, port, seeds.split());
              doors.add(door);
              return door;
            },
            new DeploymentOptions().setInstances(house.table().listen().eventLoops()))
        .map(lanes -> new Router(vertx, operations, doors, lanes, admin, port.get()));
  }

  /** The public port, also where the table left the choice to the system. */
  public int port() {
    return port;
  }

  /** The operators' port. */
  public int adminPort() {
    return operations.port();
  }

  /**
   * Completes when every pair of workers has been judged, and tried out where it must be, and
   * workers' counters have been read since.
   */
  public Future<Router> settled() {
    return house
        .watch()
        .settled()
        .compose(judged -> until(house.evidence::isAtRest, COUNTERS_WITHIN))
        .map(this);
  }

  /** How many pairs of workers can be used now, a line per route. */
  public List<String> pairs() {
    return house.watch().pairs();
  }

  /** Pools that have no worker yet, because nobody whom the table names has said one. */
  public List<String> poolsWithoutWorkers() {
    return house.table().pools().values().stream()
        .filter(pool -> pool.workers().isEmpty())
        .map(Pool::name)
        .toList();
  }

  /** Reads the table anew and, if it is good, changes over to it; no exchange breaks off. */
  public Future<Reloaded> reload() {
    return operations.reload();
  }

  /** Each pair of workers with the way that its blocks go, or why none do, a line each. */
  public List<String> ways() {
    return house.watch().routes().stream()
        .flatMap(route -> route.edges().stream())
        .map(edge -> edge + ": " + words(edge.state()))
        .toList();
  }

  private static String words(EdgeState state) {
    return switch (state) {
      case EdgeState.Usable(Way way, List<String> notes) ->
          notes.isEmpty() ? way.toString() : way + "; " + String.join("; ", notes);
      case EdgeState.Refused refused -> "none; " + refused.first();
      case EdgeState.Broken(_, String why, _) -> "none; " + why;
      case EdgeState.Pending(String why) -> "not known yet; " + why;
    };
  }

  /** What is open now. */
  public Occupancy occupancy() {
    return new Occupancy(
        house.gauges.exchanges.get(),
        house.gauges.connections.get(),
        house.workers().all().mapToInt(Worker::openLegs).sum(),
        house.gauges.reservations.get(),
        house.ledger.open());
  }

  /**
   * Takes no more requests, lets exchanges that are under way end, and closes. Completes when no
   * hand-off is open any more, or when nobody has answered for those that are.
   *
   * @param grace what is under way after it breaks off
   */
  public Future<Void> shutDown(Duration grace) {
    house.closing();
    return Future.join(doors.stream().map(door -> door.shutDown(grace)).toList())
        // Blocks of exchanges that broke off are released after these have ended.
        .eventually(() -> until(() -> house.ledger.open() == 0, RELEASE_WITHIN))
        .eventually(this::close)
        .mapEmpty();
  }

  /** Completes when something holds, or after a while in which it did not. */
  private Future<Void> until(BooleanSupplier holds, Duration longest) {
    if (holds.getAsBoolean() || !longest.isPositive()) {
      return Future.succeededFuture();
    }
    return vertx
        .timer(LOOK_AGAIN.toMillis(), TimeUnit.MILLISECONDS)
        .compose(fired -> until(holds, longest.minus(LOOK_AGAIN)));
  }

  /** Closes the ports and every connection; exchanges under way break off. Idempotent. */
  public Future<Void> close() {
    if (!closed.getAndSet(true)) {
      vertx.undeploy(lanes).eventually(() -> vertx.undeploy(admin)).onComplete(whenClosed);
    }
    return whenClosed.future();
  }

  /** One event loop of the public port. */
  private static final class Public extends VerticleBase {
    private final House house;
    private final AtomicInteger port;
    private final SplittableRandom random;
    private final AtomicReference<@Nullable HttpServer> server = new AtomicReference<>();

    Public(House house, AtomicInteger port, SplittableRandom random) {
      this.house = house;
      this.port = port;
      this.random = random;
    }

    @Override
    public Future<?> start() {
      Lane lane = new Lane(house, vertx, context, random);
      FrontDoor door = new FrontDoor(lane);
      AtomicInteger connections = house.gauges.connections;
      HttpServer opened =
          vertx
              .createHttpServer(options(house.table(), house.floor().credentials()))
              .connectionHandler(connection -> {
                connections.incrementAndGet();
                connection.closeHandler(v -> connections.decrementAndGet());
              })
              .requestHandler(door::handle)
              .invalidRequestHandler(door::handleMalformed);
      int wanted = house.table().listen().port();
      server.set(opened);
      house.whenChanged(floor -> floor.credentials().server().ifPresent(tls -> show(opened, tls)));
      // All instances share a port only if it is given; -1 is "any, but the same for all of us".
      return opened
          .listen(wanted == 0 ? -1 : wanted, house.table().listen().host())
          .onSuccess(listening -> port.set(listening.actualPort()));
    }

    /** Shows another certificate to clients that connect from now on. */
    private static void show(HttpServer opened, ServerSSLOptions tls) {
      Future<Boolean> _ =
          opened
              .updateSSLOptions(tls)
              .onFailure(failure -> LOG.error("the new certificate is not in use", failure));
    }

    /** Accepts nobody any more, and closes each connection once its exchange is over. */
    Future<Void> shutDown(Duration grace) {
      HttpServer opened = server.get();
      return opened == null
          ? Future.succeededFuture()
          : opened.shutdown(grace.toMillis(), TimeUnit.MILLISECONDS);
    }

    private static HttpServerOptions options(RoutingTable table, Credentials credentials) {
      HttpServerOptions options = new HttpServerOptions();
      options.setMaxChunkSize(Lane.CHUNK_BYTES);
      options.setMaxHeaderSize(Lane.MOST_HEADER_BYTES);
      options.setHandle100ContinueAutomatically(true);
      options.setHttp2ClearTextEnabled(false);
      // There are no WebSockets here; without this every message passes a handler for them.
      options.setPerFrameWebSocketCompressionSupported(false);
      options.setPerMessageWebSocketCompressionSupported(false);
      options.setStrictThreadMode(true);
      credentials.server().ifPresent(tls -> secure(options, tls));
      // Of reading alone: what is written needs no watch of its own, see idleLimit.
      options.setReadIdleTimeout(Math.toIntExact(idleLimit(table).toSeconds()));
      options.setIdleTimeoutUnit(TimeUnit.SECONDS);
      return options;
    }
  }

  private static void secure(HttpServerOptions options, ServerSSLOptions tls) {
    options.setSsl(true);
    options.setKeyCertOptions(tls.getKeyCertOptions());
    options.setEnabledSecureTransportProtocols(tls.getEnabledSecureTransportProtocols());
    options.setUseAlpn(true);
    options.setAlpnVersions(List.of(HttpVersion.HTTP_2, HttpVersion.HTTP_1_1));
    options.setHttp2RstFloodMaxRstFramePerWindow(MOST_RESET_STREAMS);
    options.setHttp2RstFloodWindowDuration(Math.toIntExact(RESET_WITHIN.toSeconds()));
    options.setHttp2RstFloodWindowDurationTimeUnit(TimeUnit.SECONDS);
  }

  /**
   * When a connection on which no byte moves is closed: later than any exchange may take, so that
   * nobody who waits for an answer is meant, only those who hold connections for nothing.
   */
  private static Duration idleLimit(RoutingTable table) {
    return Reload.longestTotal(table).plus(Intake.RECEIVE_WITHIN).plusSeconds(1);
  }

  /** The operators' event loop: their port, and looks at workers' metrics. */
  private static final class Operations extends VerticleBase {
    private final RoutingTable table;
    private final TableSource source;
    private final LongSupplier nanoClock;
    private final SideChannelClient sideChannels = new SideChannelClient();
    private final AtomicReference<@Nullable Members> members = new AtomicReference<>();
    private final AtomicReference<@Nullable House> house = new AtomicReference<>();
    private final AtomicReference<@Nullable Reload> reload = new AtomicReference<>();
    private final AtomicInteger port = new AtomicInteger();

    Operations(RoutingTable table, TableSource source, LongSupplier nanoClock) {
      this.table = table;
      this.source = source;
      this.nanoClock = nanoClock;
    }

    @Override
    public Future<?> start() {
      Future<Keys> keys = Reload.keys(vertx, table.listen(), Keys.notAsked());
      Members known = new Members(vertx, this::membersChanged);
      members.set(known);
      return Future.all(
              Agents.watch(vertx, table.agents()),
              keys,
              Credentials.read(vertx, table),
              known.ask(table))
          .compose(all -> open(all.resultAt(0), all.resultAt(1), all.resultAt(2), known));
    }

    private void membersChanged() {
      Reload running = reload.get();
      // Before there is one, the first floor is laid with what is known by then.
      if (running != null) {
        running.membersChanged();
      }
    }

    private Future<HttpServer> open(
        Agents agents, Keys keys, Credentials credentials, Members known) {
      HttpClient client = vertx.createHttpClient(Lane.clientOptions());
      EngineCalls calls = new EngineCalls(client);
      Ledger ledger = new Ledger();
      Leftovers leftovers =
          new Leftovers(vertx, () -> house().workers(), ledger, agents, calls, nanoClock);
      Prober prober = new Prober(vertx, calls, sideChannels, leftovers::free);
      EvidenceCollector evidence = new EvidenceCollector(vertx, context, client);
      CanaryFlights canaries =
          new CanaryFlights(calls, agents, leftovers, evidence, new SecureRandom());
      ProfileJudge judge = new ProfileJudge(!table.agents().isEmpty());
      Supplier<Watch> watches = () -> new Watch(vertx, prober, judge, canaries, nanoClock);
      Gauges gauges = new Gauges();
      Floor first =
          Floor.of(
              known.with(table),
              watches.get(),
              keys,
              credentials,
              gauges.reservations,
              nanoClock,
              null);
      House built = new House(nanoClock, gauges, ledger, agents, evidence, first);
      house.set(built);
      reload.set(new Reload(vertx, built, source, table, known, watches, idleLimit(table)));
      known.follow(table);
      Heartbeats.begin(vertx, ledger, agents, nanoClock);
      agents.known().onSuccess(answered -> first.watch().begin());
      return openAdmin(built, known);
    }

    private Future<HttpServer> openAdmin(House built, Members known) {
      AdminDoor door =
          new AdminDoor(
              built::table,
              nanoClock,
              built::isClosing,
              built::workers,
              built.agents,
              built::watch,
              built.ledger,
              built.gauges,
              () -> built.metrics() + known.text(built.table()),
              built.recent,
              () -> reload().map(Operations::json),
              known,
              new WorkerChanges(
                  vertx, built, known, Objects.requireNonNull(reload.get(), "not deployed")));
      return vertx
          .createHttpServer()
          .requestHandler(door::handle)
          .listen(table.admin().port(), table.admin().host())
          .onSuccess(listening -> port.set(listening.actualPort()));
    }

    private static AdminDoor.Change json(Reloaded reloaded) {
      return switch (reloaded) {
        case Reloaded.Done(List<String> pairs) ->
            new AdminDoor.Change(
                200, new JsonObject().put("reloaded", true).put("pairs", new JsonArray(pairs)));
        case Reloaded.Unchanged() ->
            new AdminDoor.Change(200, new JsonObject().put("reloaded", false));
        case Reloaded.Refused(List<String> why) ->
            new AdminDoor.Change(
                409, new JsonObject().put("reloaded", false).put("why", new JsonArray(why)));
      };
    }

    Future<Reloaded> reload() {
      Promise<Reloaded> outcome = Promise.promise();
      context.runOnContext(
          v -> Objects.requireNonNull(reload.get(), "not deployed").now().onComplete(outcome));
      return outcome.future();
    }

    @Override
    public Future<?> stop() {
      house().watch().end();
      Objects.requireNonNull(members.get(), "not deployed").end();
      return context.executeBlocking(
          () -> {
            sideChannels.close();
            return "closed";
          },
          false);
    }

    House house() {
      return Objects.requireNonNull(house.get(), "not deployed");
    }

    int port() {
      return port.get();
    }
  }
}
