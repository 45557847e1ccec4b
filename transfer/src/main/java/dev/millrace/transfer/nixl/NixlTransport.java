package dev.millrace.transfer.nixl;

import dev.millrace.transfer.BlockTransport;
import dev.millrace.transfer.NotificationHandler;
import dev.millrace.transfer.Peer;
import dev.millrace.transfer.ReadOutcome;
import dev.millrace.transfer.Registration;
import dev.millrace.transfer.TransferException;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads remote memory with NIXL.
 *
 * <p>A {@linkplain #describe() description} lists the memory that was registered when it was made.
 * What is registered later is found by those who are connected when they read it: they ask for a
 * fresh description first. Memory that is unregistered is taken back from all who have connected.
 *
 * <p>What differs from a transport that has its own protocol comes from NIXL, which can neither
 * cancel a read nor keep others from reading:
 *
 * <ul>
 *   <li>A read that fails by its deadline, or because the peer or this side closed, usually ends at
 *       once. If the peer hangs, NIXL may go on writing into the destination when it wakes up; the
 *       outcome says so, and {@link #mayStillBeWritten} tells when that is over. Do not use the
 *       memory for anything else before.
 *   <li>Closing a {@link Registration} waits until nothing moves in its memory, and until every
 *       peer that has connected has promised not to read it any more or has gone. When that takes
 *       longer than {@link NixlLimits#closing()}, it throws {@link TransferException}: the memory
 *       is in use and must not be freed. It can be called again.
 *   <li>Closing the transport waits as long for the same. UCX crashes when an agent is destroyed
 *       while it answers reads, so an agent whose readers hang lives until the process ends, and
 *       its registrations go on saying that their memory is in use. In all other cases nothing is
 *       in use once the transport is closed.
 *   <li>Memory that {@link #engineMetadata} told engines about can never be taken back from them:
 *       close the transport first.
 * </ul>
 *
 * <p>Descriptions and notifications are signed with the secret that all transports of a deployment
 * share. What is read is neither signed nor encrypted by NIXL.
 */
public final class NixlTransport implements BlockTransport {
  private static final Logger LOG = LoggerFactory.getLogger(NixlTransport.class);

  /** For calls that only compute. */
  private static final Duration LOCAL_CALL = Duration.ofSeconds(60);

  private static final Duration STOPPING = Duration.ofSeconds(5);

  /**
   * How long requests may still take when this transport closes. Peers that live need milliseconds;
   * destroying an agent under its requests has crashed owners in UCX.
   */
  private static final Duration SETTLING = Duration.ofSeconds(2);

  /** An engine's metadata grows with its regions; this is some ten thousand of them. */
  private static final int MOST_ENGINE_METADATA = 1 << 20;

  private static final int MOST_CONNECTS_AT_ONCE = 1024;

  /** How its threads' names begin. */
  static final String THREADS = "nixl-transport-";

  private final Envelope.Identity identity;
  private final NixlTransportOptions options;
  private final AgentHandle agent;
  private final Counters counters = new Counters();
  private final ControlLoop control;
  private final Relations relations;
  private final RegisteredMemory memory;
  private final Deliveries deliveries;
  private final Timers timers;
  private final List<TransferLoop> loops = new ArrayList<>();
  private final AtomicInteger nextLoop = new AtomicInteger();
  private final AtomicInteger connecting = new AtomicInteger();
  private final Set<Runnable> unfinished = ConcurrentHashMap.newKeySet();
  private final Set<Batch> moving = ConcurrentHashMap.newKeySet();
  private final PeerSupport peers = new PeerSupport();
  private final CompletableFuture<Boolean> ended = new CompletableFuture<>();
  private volatile @Nullable NotificationHandler handler;
  private volatile boolean closed;

  private NixlTransport(Nixl.Present nixl, NixlTransportOptions options) {
    this.identity = new Envelope.Identity(options.name(), options.agentName(), nixl.version());
    this.options = options;
    ThreadFactory threads =
        Thread.ofPlatform().daemon().name(THREADS + options.name() + "-", 0).factory();
    NixlLimits limits = options.limits();
    this.agent = AgentHandle.open(nixl, options.agentName(), 1);
    this.deliveries = new Deliveries(threads, limits.undelivered());
    this.timers = new Timers(threads);
    this.control = new ControlLoop(threads);
    Self self = new Self(agent, identity, options.secret());
    Outside outside = new Outside(control, timers, deliveries);
    this.relations = Relations.of(self, outside);
    this.memory = new RegisteredMemory(agent, control, relations.readers(), limits.closing());
    Mailbox mailbox =
        new Mailbox(relations, self, outside, options.engines(), counters, new SelfPortrait());
    for (int i = 0; i < limits.transferThreads(); i++) {
      loops.add(new TransferLoop(threads, limits));
    }
    control.start(mailbox::receive);
    loops.forEach(TransferLoop::start);
  }

  /**
   * Starts an agent.
   *
   * @throws TransferException if NIXL's network does not start, with what to look at
   */
  public static NixlTransport open(Nixl.Present nixl, NixlTransportOptions options) {
    try {
      return new NixlTransport(nixl, options);
    } catch (NixlFailure | IllegalStateException e) {
      throw new TransferException(e.getMessage() + "", e);
    }
  }

  @Override
  public String name() {
    return "nixl";
  }

  /** How peers call this transport's agent. */
  public String agentName() {
    return options.agentName();
  }

  /** Names of the backends that the library comes with. */
  List<String> plugins() {
    return control.call("listing plugins", LOCAL_CALL, agent::plugins);
  }

  @Override
  public Registration register(MemorySegment segment) {
    checkOpen();
    return memory.register(segment);
  }

  /** Whether a read, given up or not, may still write to these bytes. */
  public boolean mayStillBeWritten(MemorySegment segment) {
    Region region = new Region(segment.address(), segment.byteSize());
    return moving.stream().anyMatch(batch -> batch.writes(region));
  }

  @Override
  public byte[] describe() {
    checkOpen();
    return control.call("describing this transport", LOCAL_CALL, new SelfPortrait()::describe);
  }

  /**
   * This agent's metadata as NIXL makes it, for the handshake of inference engines. It lets whoever
   * has it read and write all memory that is registered now; that memory cannot be unregistered
   * afterwards.
   */
  public byte[] engineMetadata() {
    checkOpen();
    return memory.tellEngines();
  }

  @Override
  public CompletableFuture<Peer> connect(byte[] description, Duration deadline) {
    Envelope envelope;
    try {
      envelope = Envelope.open(description, options.secret());
      if (envelope.agentName().equals(options.agentName())) {
        throw new TransferException("the description is this transport's own");
      }
      refuseUntried(envelope.nixlVersion(), envelope.label());
      RegionTable.of(envelope.regions());
    } catch (TransferException e) {
      return CompletableFuture.failedFuture(e);
    } catch (IllegalArgumentException e) {
      return CompletableFuture.failedFuture(
          new TransferException("the description is signed but malformed", e));
    }
    return connect(
        envelope.label(),
        deadline,
        (answer, end) -> relations.introductions().connect(envelope, peers::peer, answer, end));
  }

  /**
   * Connects to an inference engine's agent. The engine is not asked, so that a wrong address shows
   * only in the first read. Notifications to it are sent as they are, and not confirmed.
   *
   * @param engine from a side channel that the configuration lists; unlike other descriptions it is
   *     not signed, and an altered one ends this process
   */
  public CompletableFuture<Peer> connectEngine(EngineDescription engine, Duration deadline) {
    try {
      refuseUntried(engine.nixlVersion(), engine.agentName());
      RegionTable.of(engine.regions());
      if (engine.metadata().length == 0 || engine.metadata().length > MOST_ENGINE_METADATA) {
        throw new IllegalArgumentException(engine.metadata().length + " bytes of metadata");
      }
    } catch (TransferException e) {
      return CompletableFuture.failedFuture(e);
    } catch (IllegalArgumentException e) {
      return CompletableFuture.failedFuture(
          new TransferException(
              "the handshake of %s makes no sense: %s"
                  .formatted(engine.agentName(), e.getMessage()),
              e));
    }
    return connect(
        engine.agentName(),
        deadline,
        (answer, end) -> relations.introductions().connect(engine, peers::peer, answer, end));
  }

  private void refuseUntried(String version, String peer) {
    VersionPairs.refuse(identity.nixlVersion(), version)
        .ifPresent(reason -> {
          throw new TransferException("cannot connect to %s: %s".formatted(peer, reason));
        });
  }

  /** A way to connect, on the control thread. */
  private interface Connecting {
    void begin(CompletableFuture<NixlPeer> answer, long endNanos);
  }

  private CompletableFuture<Peer> connect(String peer, Duration patience, Connecting how) {
    CompletableFuture<NixlPeer> answer = new CompletableFuture<>();
    if (connecting.incrementAndGet() > MOST_CONNECTS_AT_ONCE) {
      connecting.decrementAndGet();
      return CompletableFuture.failedFuture(
          new TransferException(
              "cannot connect to %s: %d connects are under way already"
                  .formatted(peer, MOST_CONNECTS_AT_ONCE)));
    }
    Duration deadline = Timers.bounded(patience);
    long end = System.nanoTime() + deadline.toNanos();
    peers.remember(
        answer,
        future -> future.completeExceptionally(new TransferException("the transport is closed")));
    Runnable cancel =
        timers.after(
            deadline,
            () ->
                deliveries.completion(() ->
                    answer.completeExceptionally(
                        new TransferException(
                            "%s did not answer within %d ms"
                                .formatted(peer, deadline.toMillis())))));
    var _ =
        answer.whenComplete((_, _) -> {
          cancel.run();
          connecting.decrementAndGet();
          control.submit(() -> relations.introductions().dropFinished());
        });
    control.submit(() -> how.begin(answer, end));
    return answer.thenApply(connected -> connected);
  }

  @Override
  public void onNotification(NotificationHandler newHandler) {
    handler = newHandler;
  }

  /** What has been moved, by NIXL's own telemetry. */
  public NixlStatistics statistics() {
    return counters.snapshot(moving.size(), memory.table().size(), relations.readers().count());
  }

  private void checkOpen() {
    if (closed) {
      throw new TransferException("the transport is closed");
    }
  }

  // The end

  @Override
  public void close() {
    if (!begins()) {
      // Whoever comes second must not free memory before the first one is through, whose waits are
      // all bounded.
      ended.join();
      return;
    }
    memory.transportCloses();
    CompletableFuture<Boolean> readersAreGone = new CompletableFuture<>();
    control.submit(() -> relations.readers().close(readersAreGone));
    boolean stopped = true;
    loops.forEach(TransferLoop::close);
    for (TransferLoop loop : loops) {
      stopped &= loop.stop(SETTLING, STOPPING);
    }
    var _ =
        readersAreGone.completeOnTimeout(
            false, options.limits().closing().toMillis(), TimeUnit.MILLISECONDS);
    boolean unread = readersAreGone.join();
    // Requests may be lost with their agent, but not used without it: it goes after them, and last.
    boolean mayGo = stopped && unread;
    control.submit(() -> {
      relations.links().goodbye();
      if (mayGo) {
        agent.close();
      }
    });
    if (control.stop(STOPPING) && mayGo) {
      loops.forEach(TransferLoop::letGo);
      memory.isFree();
    } else {
      memory.staysInUse();
      LOG.error(
          "{}: the NIXL agent {} and all memory registered with it stay in use until this process ends",
          unread ? "a call of NIXL did not return" : "peers have not stopped reading",
          options.agentName());
    }
    ended.complete(true);
    unfinished.forEach(Runnable::run);
    timers.close();
    deliveries.close();
  }

  private synchronized boolean begins() {
    boolean first = !closed;
    closed = true;
    return first;
  }

  /** What the mailbox tells others of this transport. On the control thread. */
  private final class SelfPortrait implements Mailbox.Host {
    @Override
    public List<Region> memory() {
      return memory.regions();
    }

    @Override
    public byte[] describe() {
      return new Envelope(identity, memory.regions(), agent.metadata()).seal(options.secret());
    }

    @Override
    public @Nullable NotificationHandler handler() {
      return handler;
    }
  }

  /** What peers need of this transport. */
  private final class PeerSupport implements NixlPeer.Transport {
    NixlPeer peer(Link link) {
      return new NixlPeer(this, link);
    }

    @Override
    public Optional<ReadOutcome.Failed> start(NixlRead read) {
      if (closed) {
        return Optional.of(
            new ReadOutcome.Failed(ReadOutcome.Cause.CLOSED, "the transport is closed", 0));
      }
      int first = nextLoop.getAndIncrement();
      for (int i = 0; i < loops.size(); i++) {
        if (loops.get(Math.floorMod(first + i, loops.size())).add(read)) {
          return Optional.empty();
        }
      }
      return Optional.of(
          new ReadOutcome.Failed(
              ReadOutcome.Cause.OVERLOADED,
              "%d reads wait for each of %d threads already"
                  .formatted(options.limits().readsWaiting(), loops.size()),
              0));
    }

    @Override
    public void wake() {
      loops.forEach(TransferLoop::wake);
    }

    @Override
    public NixlRead.Surroundings surroundings(Link link) {
      return new NixlRead.Surroundings(
          agent, link, memory::table, options.limits(), moving, this::ask, counters);
    }

    private void ask(Link link) {
      control.submit(() -> relations.refreshes().ask(link));
    }

    @Override
    public void control(Consumer<Relations> task) {
      control.submit(() -> task.accept(relations));
    }

    @Override
    public void complete(Runnable completion) {
      deliveries.completion(completion);
    }

    @Override
    public Runnable after(Duration delay, Runnable action) {
      return timers.after(delay, action);
    }

    @Override
    public <T> void remember(
        CompletableFuture<T> future, Consumer<CompletableFuture<T>> whenClosed) {
      Runnable completion = () -> whenClosed.accept(future);
      unfinished.add(completion);
      var _ = future.whenComplete((_, _) -> unfinished.remove(completion));
      if (ended.isDone()) {
        // close() may have looked before it was there.
        completion.run();
      }
    }
  }
}
