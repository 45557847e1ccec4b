package dev.millrace.simulator;

import dev.millrace.simulator.cache.BlockPool;
import dev.millrace.simulator.cache.CacheShape;
import dev.millrace.simulator.cache.KvMemory;
import dev.millrace.simulator.connector.EngineConnector;
import dev.millrace.simulator.core.CannedGenerator;
import dev.millrace.simulator.core.Ending;
import dev.millrace.simulator.core.Generator;
import dev.millrace.simulator.core.NativeTransfers;
import dev.millrace.simulator.core.Scheduler;
import dev.millrace.simulator.core.TransferParams.RemotePrefill;
import dev.millrace.simulator.http.FrontDoor;
import dev.millrace.simulator.http.MetricsPage;
import dev.millrace.simulator.http.RankDoor;
import dev.millrace.simulator.http.ResponseStore;
import io.vertx.core.DeploymentOptions;
import io.vertx.core.Future;
import io.vertx.core.Handler;
import io.vertx.core.Promise;
import io.vertx.core.VerticleBase;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;
import java.net.URI;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A running engine.
 *
 * <pre>{@code
 * EngineConfig config = EngineConfig.builder().port(8000).build();
 * SimulatedEngine engine = SimulatedEngine.start(vertx, config).await();
 * }</pre>
 *
 * Its methods may be called from any thread.
 */
public final class SimulatedEngine {
  private static final Logger LOG = LoggerFactory.getLogger(SimulatedEngine.class);

  private final Vertx vertx;
  private final EngineConfig config;
  private final List<EngineRank> ranks;
  private final Instant started;
  private final AtomicInteger port = new AtomicInteger();
  private final AtomicReference<@Nullable Future<Void>> closing = new AtomicReference<>();
  private final ResponseStore responses = new ResponseStore();
  private final Promise<String> deployment = Promise.promise();

  /** Completes when the last part of the engine has ended. */
  private final Promise<Void> stopped = Promise.promise();

  private volatile List<Misbehaviour> misbehaviours = List.of();

  private SimulatedEngine(Vertx vertx, EngineConfig config) {
    this.vertx = vertx;
    this.config = config;
    String engineId = UUID.randomUUID().toString();
    this.ranks =
        IntStream.range(0, config.dataParallel())
            .mapToObj(rank -> new EngineRank(rank, config.dataParallel(), engineId))
            .toList();
    this.started = config.clock().instant();
    this.port.set(config.port());
  }

  /** Starts an engine; the future fails if a port is taken or the geometry is impossible. */
  public static Future<SimulatedEngine> start(Vertx vertx, EngineConfig config) {
    SimulatedEngine engine = new SimulatedEngine(vertx, config);
    // A random port cannot be shared, so only a given one is served by all event loops.
    boolean spread = config.plain() && config.port() != 0;
    int instances = spread ? Runtime.getRuntime().availableProcessors() : 1;
    return vertx
        .deployVerticle(engine::verticle, new DeploymentOptions().setInstances(instances))
        .onComplete(engine.deployment)
        .map(deployed -> {
          LOG.info("{} engine serves {} at {}", config.role(), config.model(), engine.uri());
          return engine;
        });
  }

  /** What the engine was started with. */
  public EngineConfig config() {
    return config;
  }

  /** Where it listens. */
  public URI uri() {
    return URI.create("http://" + config.host() + ":" + port.get());
  }

  /** Its name in hand-offs and handshakes, or that of its first data-parallel rank. */
  public String engineId() {
    return ranks.getFirst().engineId();
  }

  /** The names of all its data-parallel ranks. */
  public List<String> engineIds() {
    return ranks.stream().map(EngineRank::engineId).toList();
  }

  /** Port of its handshake listener, or that of its first data-parallel rank; 0 in plain mode. */
  public int sideChannelPort() {
    return ranks.getFirst().sideChannelPort();
  }

  /** What it holds and has done, all its data-parallel ranks together. */
  public EngineStats stats() {
    return ranks.stream().map(EngineRank::stats).reduce(EngineStats::plus).orElseThrow();
  }

  /** What one of its data-parallel ranks holds and has done. */
  public EngineStats stats(int rank) {
    return ranks.get(rank).stats();
  }

  /** What a native library says that it has moved; empty if the engine uses none. */
  public Optional<NativeTransfers> nativeTransfers() {
    return ranks.stream()
        .flatMap(rank -> rank.nativeTransfers().stream())
        .reduce(NativeTransfers::plus);
  }

  /** Does this wrong from now on, and nothing else. */
  public void misbehave(Misbehaviour... what) {
    misbehaviours = List.of(what);
    for (EngineRank rank : ranks) {
      EngineRank.Parts present = rank.parts();
      if (present != null) {
        present.connector().misbehavioursChanged();
      }
    }
  }

  /** Does everything right from now on. */
  public void behave() {
    misbehave();
  }

  /** Stops listening, cuts open answers and frees everything. Idempotent. */
  public Future<Void> close() {
    Promise<Void> closed = Promise.promise();
    if (closing.compareAndSet(null, closed.future())) {
      if (stopped.future().isComplete()) {
        // Vert.x has been closed, and has undeployed us.
        closed.complete();
      } else {
        deployment
            .future()
            .compose(id -> vertx.undeploy(id).recover(gone -> stopped.future()))
            .onComplete(closed);
      }
    }
    Future<Void> present = closing.get();
    return present == null ? closed.future() : present;
  }

  private void die(String reason) {
    LOG.warn("engine at {} ends: {}", uri(), reason);
    var closed = close();
    closed.onFailure(error -> LOG.warn("engine at {} did not end cleanly", uri(), error));
  }

  private VerticleBase verticle() {
    return config.plain() ? new Canned() : new Core();
  }

  private Future<HttpServer> listen(Handler<HttpServerRequest> door) {
    HttpServerOptions options =
        new HttpServerOptions()
            .setHost(config.host())
            .setPort(port.get())
            // vLLM's server, uvicorn, speaks HTTP/1.1 only.
            .setHttp2ClearTextEnabled(false);
    return vertx
        .createHttpServer(options)
        .requestHandler(door)
        .listen()
        .onSuccess(server -> port.set(server.actualPort()));
  }

  private FrontDoor frontDoor(
      EngineRank rank, Generator generator, Consumer<RemotePrefill> onRejected) {
    return new FrontDoor(
        config,
        rank.engineId(),
        generator,
        onRejected,
        () -> MetricsPage.of(config, started, ranks.stream().map(EngineRank::metrics).toList()),
        responses,
        () -> misbehaviours,
        () -> die("told to misbehave"),
        rank.openRequests());
  }

  /** An event loop of a plain engine. */
  private final class Canned extends VerticleBase {
    private @Nullable FrontDoor door;

    @Override
    public Future<?> start() {
      Generator generator = new CannedGenerator(vertx, config, engineId());
      FrontDoor opened = frontDoor(ranks.getFirst(), generator, remote -> {});
      door = opened;
      return listen(opened);
    }

    @Override
    public Future<?> stop() {
      if (door != null) {
        door.leaveAll();
      }
      stopped.tryComplete();
      return Future.succeededFuture();
    }
  }

  /** The event loop of an engine with a cache. */
  private final class Core extends VerticleBase {
    private final List<FrontDoor> doors = new ArrayList<>();
    private @Nullable HttpServer server;

    @Override
    public Future<?> start() {
      Future<?> connected = Future.succeededFuture();
      for (EngineRank rank : ranks) {
        connected = connected.compose(before -> connect(rank));
      }
      return connected.compose(all -> open()).onFailure(error -> stop());
    }

    private Future<?> connect(EngineRank rank) {
      return context
          .executeBlocking(() -> new KvMemory(config.geometry()))
          .map(Objects::requireNonNull)
          .compose(memory -> connect(rank, memory));
    }

    private Future<?> connect(EngineRank rank, KvMemory memory) {
      BlockPool pool = new BlockPool(new CacheShape(config.geometry()).ids());
      return EngineConnector.start(
              vertx,
              config,
              rank.number(),
              rank.engineId(),
              memory,
              pool,
              rank.counters(),
              rank.transfers(),
              () -> misbehaviours,
              () -> blocksFreed(rank))
          .onSuccess(connector -> {
            Scheduler scheduler =
                new Scheduler(
                    vertx, config, memory, pool, connector, rank.counters(), this::coreFailed);
            rank.connected(new EngineRank.Parts(memory, pool, connector, scheduler));
            doors.add(frontDoor(rank, scheduler, connector::release));
          })
          .onFailure(error -> memory.free());
    }

    private void blocksFreed(EngineRank rank) {
      EngineRank.Parts present = rank.parts();
      if (present != null) {
        present.scheduler().schedule();
      }
    }

    private Future<HttpServer> open() {
      return listen(doors.size() == 1 ? doors.getFirst() : new RankDoor(doors))
          .onSuccess(listening -> server = listening);
    }

    /** The ranks live and die together. */
    private void coreFailed(String reason) {
      if (config.pairing().isVllm()) {
        die(reason);
      } else {
        LOG.warn("engine at {} would have ended were it a real one: {}", uri(), reason);
      }
    }

    @Override
    public Future<?> stop() {
      doors.forEach(FrontDoor::leaveAll);
      Future<Void> listening = server == null ? Future.succeededFuture() : server.close();
      List<EngineRank.Parts> present =
          ranks.stream().map(EngineRank::parts).filter(Objects::nonNull).toList();
      present.forEach(parts -> parts.scheduler().endAll(new Ending.Aborted()));
      return listening
          .transform(ended -> Future.join(present.stream().map(this::end).toList()))
          .onComplete(freed -> stopped.tryComplete());
    }

    private Future<Long> end(EngineRank.Parts present) {
      return present
          .connector()
          .close()
          .transform(closed ->
              present
                  .scheduler()
                  .idle()
                  .compose(idle -> closed.succeeded() ? free(present) : inUse(closed.cause())));
    }

    private Future<Long> free(EngineRank.Parts present) {
      return context.executeBlocking(present.memory()::free).map(Objects::requireNonNull);
    }

    /** What may still be written must not become somebody else's memory. */
    private Future<Long> inUse(Throwable reason) {
      LOG.error("memory of the engine at {} stays in use: {}", uri(), reason.getMessage());
      return Future.succeededFuture(0L);
    }
  }
}
