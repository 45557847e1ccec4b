package dev.millrace.simulator.connector;

import dev.millrace.layout.Layout;
import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.Misbehaviour;
import dev.millrace.simulator.cache.BlockPool;
import dev.millrace.simulator.cache.CacheShape;
import dev.millrace.simulator.cache.KvMemory;
import dev.millrace.simulator.cache.Sequence;
import dev.millrace.simulator.core.Connector;
import dev.millrace.simulator.core.Counters;
import dev.millrace.simulator.core.HandOff;
import dev.millrace.simulator.core.NativeTransfers;
import dev.millrace.simulator.core.TransferHistograms;
import dev.millrace.simulator.core.TransferParams.RemotePrefill;
import io.vertx.core.Context;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Both sides of hand-offs: pins blocks and answers handshakes for decode engines, shakes hands with
 * prefill engines, reads and notifies. Belongs to the engine's event loop.
 */
public final class EngineConnector implements Connector {
  private static final Logger LOG = LoggerFactory.getLogger(EngineConnector.class);

  private static final String FORMER_ENGINE = "7d0b7f0e-0000-4000-8000-000000000000";

  /** How often leases are looked at. */
  private static final long REAP_MILLIS = 50;

  private final Vertx vertx;
  private final Context context;
  private final EngineConfig config;
  private final String engineId;
  private final BlockPool pool;
  private final Supplier<List<Misbehaviour>> misbehaviours;
  private final Runnable onBlocksFreed;
  private final RankTransports transports;
  private final SideChannel sideChannel;
  private final Holds holds;
  private final Loader loader;
  private final Introductions introductions;
  private final Notifier notifier;
  private final List<Long> timers = new ArrayList<>();
  private boolean closed;

  private EngineConnector(
      Vertx vertx,
      EngineConfig config,
      int dataParallelRank,
      String engineId,
      KvMemory memory,
      BlockPool pool,
      Counters counters,
      TransferHistograms histograms,
      Supplier<List<Misbehaviour>> misbehaviours,
      Runnable onBlocksFreed,
      Context context) {
    this.vertx = vertx;
    this.context = context;
    this.config = config;
    this.engineId = engineId;
    this.pool = pool;
    this.misbehaviours = misbehaviours;
    this.onBlocksFreed = onBlocksFreed;
    this.holds =
        new Holds(
            memory.ranks(),
            config.release(),
            config.lease(),
            config.clock(),
            counters,
            this::freed);
    this.transports =
        new RankTransports(
            config,
            engineId,
            memory,
            rank ->
                (peer, payload) -> context.runOnContext(ignored -> holds.notified(rank, payload)));
    this.loader =
        new Loader(
            memory.geometry().ranks(),
            new CacheShape(config.geometry()),
            transports,
            context,
            histograms);
    try {
      this.sideChannel =
          new SideChannel(
              config,
              config.sideChannelPort(dataParallelRank),
              engineId,
              memory,
              transports,
              new PairingRules(config));
    } catch (RuntimeException e) {
      var _ = transports.close();
      throw e;
    }
    this.introductions =
        new Introductions(remote -> sideChannel.meet(remote, context), RemoteEngine::leave);
    this.notifier = new Notifier(memory.ranks(), introductions, context, counters);
  }

  /**
   * Starts to listen. To be called on the engine's event loop.
   *
   * @param misbehaviours asked at the moments at which they strike
   * @param onBlocksFreed called when pinned blocks have become free
   */
  public static Future<EngineConnector> start(
      Vertx vertx,
      EngineConfig config,
      int dataParallelRank,
      String engineId,
      KvMemory memory,
      BlockPool pool,
      Counters counters,
      TransferHistograms histograms,
      Supplier<List<Misbehaviour>> misbehaviours,
      Runnable onBlocksFreed) {
    Context context = vertx.getOrCreateContext();
    return context
        .executeBlocking(() ->
            new EngineConnector(
                vertx,
                config,
                dataParallelRank,
                engineId,
                memory,
                pool,
                counters,
                histograms,
                misbehaviours,
                onBlocksFreed,
                context))
        .map(Objects::requireNonNull)
        .onSuccess(EngineConnector::startTimers);
  }

  private void startTimers() {
    timers.add(vertx.setPeriodic(REAP_MILLIS, id -> holds.reap()));
    timers.add(vertx.setPeriodic(config.heartbeat().toMillis(), id -> notifier.beat()));
  }

  @Override
  public void expect(RemotePrefill remote) {
    notifier.expect(remote);
  }

  @Override
  public Future<Load> load(RemotePrefill remote, Sequence sequence, int from, int to) {
    return introductions
        .meet(remote)
        .compose(engine -> load(engine, remote, sequence, from, to))
        .otherwise(failure -> {
          notifier.forget(remote);
          LOG.info("{} cannot be loaded: {}", remote.requestId(), failure.getMessage());
          return new Load.Failed(String.valueOf(failure.getMessage()));
        });
  }

  private Future<Load> load(
      RemoteEngine engine, RemotePrefill remote, Sequence sequence, int from, int to) {
    if (misbehaviours.get().contains(new Misbehaviour.CannotReadFrom(engine.engineId()))) {
      return Future.failedFuture("PEER_LOST: no way to " + engine.engineId());
    }
    Optional<String> lacking = engine.shape().lacking(remote.blockIds(), from, to);
    if (lacking.isPresent()) {
      notifier.forget(remote);
      return Future.succeededFuture(new Load.Fatal(lacking.get()));
    }
    return loader
        .load(engine, remote, sequence, from, to, faults(engine, from, to))
        .map(loaded -> {
          notifier.done(engine, remote);
          return (Load) new Load.Done();
        })
        .onFailure(failure -> {
          // With vLLM blocks stay pinned where a read failed, but not where ids are wrong.
          if (!config.pairing().isVllm() || failure instanceof IllegalArgumentException) {
            notifier.done(engine, remote);
          }
        });
  }

  /**
   * What goes wrong while loading without a word from vLLM (0.32.0), though all bytes arrive; one
   * wrong byte stands for it here:
   *
   * <ul>
   *   <li>Blocks of different sizes are moved as if a token's K and V were next to each other,
   *       which they are not in CPU attention.
   *   <li>Where our blocks are the larger ones and the first of them is cached here, what is
   *       lacking is paired with the end of the list of remote blocks as if they filled our last
   *       block; if they do not, every token gets the bytes of an earlier one ({@code
   *       _apply_prefix_caching}).
   * </ul>
   */
  private List<Misbehaviour> faults(RemoteEngine engine, int from, int to) {
    List<Misbehaviour> faults = new ArrayList<>(misbehaviours.get());
    int own = config.geometry().blockSize();
    int remote = engine.geometry().blockSize();
    boolean isCpu = config.geometry().layout() == Layout.CPU_ATTENTION;
    boolean isShifted =
        from >= own
            && own % remote == 0
            && Math.ceilDiv(to, own) * (own / remote) != Math.ceilDiv(to, remote);
    if (config.pairing().isVllm() && own != remote && (isCpu || isShifted)) {
      faults.add(new Misbehaviour.CorruptByte());
    }
    return faults;
  }

  @Override
  public void release(RemotePrefill remote) {
    notifier.release(remote);
  }

  @Override
  public Optional<HandOff> hold(
      String requestId, List<List<Integer>> blocks, int tokens, int cachedTokens) {
    int[] pinned =
        blocks.stream().flatMap(List::stream).filter(id -> id != 0).mapToInt(id -> id).toArray();
    if (closed || pinned.length == 0 || does(Misbehaviour.NameNoBlocks.class)) {
      return Optional.empty();
    }
    boolean former = does(Misbehaviour.NameFormerEngine.class);
    if (!former && !does(Misbehaviour.ForgetLease.class)) {
      pool.retain(pinned);
      holds.add(requestId, pinned);
    }
    return Optional.of(
        new HandOff(
            config.release(),
            blocks,
            former ? FORMER_ENGINE : engineId,
            requestId,
            config.host(),
            sideChannel.port(),
            transports.ranks(),
            tokens,
            cachedTokens));
  }

  private boolean does(Class<? extends Misbehaviour> what) {
    return misbehaviours.get().stream().anyMatch(what::isInstance);
  }

  @Override
  public void misbehavioursChanged() {
    SideChannel.Honesty honesty = SideChannel.Honesty.TRUE;
    for (Misbehaviour misbehaviour : misbehaviours.get()) {
      if (misbehaviour instanceof Misbehaviour.LieAboutGeometry) {
        honesty = SideChannel.Honesty.SHIFTED;
      }
    }
    sideChannel.answer(honesty);
  }

  @Override
  public Future<Void> close() {
    closed = true;
    timers.forEach(vertx::cancelTimer);
    holds.endAll();
    return context
        .executeBlocking(
            () -> {
              sideChannel.close();
              return transports.close();
            },
            false)
        .map(Objects::requireNonNull)
        .compose(free ->
            free
                ? Future.succeededFuture()
                : Future.failedFuture("a transport does not let go of the memory"));
  }

  @Override
  public int sideChannelPort() {
    return sideChannel.port();
  }

  @Override
  public int heldBlocks() {
    return holds.heldBlocks();
  }

  @Override
  public int openReads() {
    return loader.openReads();
  }

  @Override
  public Optional<NativeTransfers> nativeTransfers() {
    return transports.nativeTransfers();
  }

  private void freed(int[] blocks) {
    pool.release(blocks);
    onBlocksFreed.run();
  }
}
