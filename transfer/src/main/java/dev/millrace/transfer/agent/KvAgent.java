package dev.millrace.transfer.agent;

import java.time.Duration;
import java.time.InstantSource;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads, keeps, extends and releases the blocks that prefill engines hold, and stands between them
 * and decode engines that could not read them. Its methods may be called from any thread and do not
 * block; futures fail with {@link AgentRefusal}.
 */
public final class KvAgent implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(KvAgent.class);

  /** How often expiry and quarantine are looked at. */
  private static final Duration REAP = Duration.ofMillis(100);

  /** Extends, releases and measurements under way; each is a handful of small messages. */
  private static final int SHORT_CALLS_AT_ONCE = 256;

  private static final Duration LONGEST_CLOSE = Duration.ofSeconds(10);

  private final AgentOptions options;
  private final AgentTransport transport;
  private final LongSupplier nanoClock;
  private final Memory memory;
  private final Copies copies;
  private final Engines engines;
  private final VirtualEngines virtual;
  private final Semaphore reads;
  private final Semaphore shortCalls = new Semaphore(SHORT_CALLS_AT_ONCE);
  private final Set<OpenCall> open = ConcurrentHashMap.newKeySet();
  private final ExecutorService calls =
      Executors.newThreadPerTaskExecutor(Thread.ofVirtual().name("agent-call-", 1).factory());
  private final ScheduledExecutorService reaper =
      Executors.newSingleThreadScheduledExecutor(
          Thread.ofPlatform().daemon().name("agent-reaper").factory());
  private final ExecutorService copiers =
      Executors.newFixedThreadPool(
          Math.max(1, Runtime.getRuntime().availableProcessors() / 2),
          Thread.ofPlatform().daemon().name("agent-copier-", 1).factory());
  private final AtomicLong copyNumbers = new AtomicLong();

  private KvAgent(
      AgentOptions options, AgentTransport transport, InstantSource clock, LongSupplier nanoClock) {
    this.options = options;
    this.transport = transport;
    this.nanoClock = nanoClock;
    this.memory = new Memory(transport, options.budgetBytes(), options.slabBytes());
    this.copies = new Copies(memory, options.hold(), clock);
    this.engines = new Engines(options, transport);
    this.virtual = new VirtualEngines(options, transport, memory, copies);
    this.reads = new Semaphore(options.readsAtOnce());
  }

  /**
   * Starts an agent, which closes the transport when it is closed.
   *
   * @param clock for the expiry of copies
   * @param nanoClock for deadlines
   */
  public static KvAgent start(
      AgentOptions options, AgentTransport transport, InstantSource clock, LongSupplier nanoClock) {
    KvAgent agent = new KvAgent(options, transport, clock, nanoClock);
    var _ =
        agent.reaper.scheduleWithFixedDelay(
            agent::reap, REAP.toMillis(), REAP.toMillis(), TimeUnit.MILLISECONDS);
    return agent;
  }

  private void reap() {
    try {
      copies.reap();
      memory.sweep();
    } catch (RuntimeException | OutOfMemoryError e) {
      // The next round may do better; without one, nothing would ever expire.
      LOG.error("reaping failed", e);
    }
  }

  /** What it was started with. */
  public AgentOptions options() {
    return options;
  }

  /** What its transport is called. */
  public String transport() {
    return transport.blocks().name();
  }

  /**
   * What the agent holds, at one moment.
   *
   * @param registeredBytes memory that is registered
   * @param heldBytes of that, what copies and reads under way take
   * @param quarantinedBytes of that, what abandoned reads may still write
   * @param openReads reads and relays under way
   * @param virtualEngines side channels of its own
   * @param openReaders decode engines that were sent to a copy and are not done with it
   */
  public record Holdings(
      long registeredBytes,
      long heldBytes,
      long quarantinedBytes,
      int copies,
      int openReads,
      int virtualEngines,
      int openReaders) {}

  /** What it holds now. */
  public Holdings holdings() {
    Memory.Use use = memory.use();
    return new Holdings(
        use.registeredBytes(),
        use.heldBytes(),
        use.quarantinedBytes(),
        copies.count(),
        open.size(),
        virtual.count(),
        copies.openReaders());
  }

  /** A read under way. */
  @FunctionalInterface
  public interface ReadCall {
    /** Gives it up, if it is not over; its last event says what became of its memory. */
    void cancel();
  }

  /**
   * Reads blocks into memory of the agent.
   *
   * @param events takes what happens, on a thread of the agent, one at a time; the last one is
   *     {@link ReadEvent.Done} or {@link ReadEvent.Failed}
   */
  public ReadCall read(ReadOrder order, Consumer<ReadEvent> events) {
    Reading reading = new Reading(order, nextCopyId());
    return open(order.handOff(), order.deadline(), events, reading::run);
  }

  /**
   * Carries blocks to where a decode engine reads them.
   *
   * @param events as of {@link #read}; {@link ReadEvent.Done} has a {@link Carriage}
   */
  public ReadCall relay(RelayOrder order, Consumer<ReadEvent> events) {
    Relaying relaying = new Relaying(order, nextCopyId(), virtual, transport, copiers);
    return open(order.handOff(), order.deadline(), events, relaying::run);
  }

  /** Lets a decode engine read blocks from the prefill engine itself. */
  public CompletableFuture<Carriage> bridge(HandOff handOff, Reader reader, Duration deadline) {
    return call(() ->
        new Bridging(handOff, reader, virtual)
            .run(engines, new Deadline(nanoClock, shorter(deadline, options.longestRead()))));
  }

  private String nextCopyId() {
    return "copy-" + copyNumbers.incrementAndGet();
  }

  private static Duration shorter(Duration a, Duration b) {
    return a.compareTo(b) < 0 ? a : b;
  }

  private ReadCall open(
      HandOff handOff,
      Duration deadline,
      Consumer<ReadEvent> events,
      Function<OpenCall, ReadEvent.Done> what) {
    if (!reads.tryAcquire()) {
      events.accept(
          new ReadEvent.Failed(
              Reason.OVERLOADED,
              "%d reads and relays are under way already".formatted(options.readsAtOnce()),
              0,
              0));
      return () -> {};
    }
    OpenCall opened =
        new OpenCall(
            new OpenCall.Surroundings(options, engines, memory, copies),
            handOff.requestId(),
            new Deadline(nanoClock, shorter(deadline, options.longestRead())),
            events);
    open.add(opened);
    try {
      calls.execute(() -> {
        try {
          opened.run(what);
        } finally {
          over(opened);
        }
      });
    } catch (RejectedExecutionException e) {
      over(opened);
      events.accept(new ReadEvent.Failed(Reason.CLOSED, "the agent is ending", 0, 0));
    }
    return () -> opened.cancel(Reason.CANCELLED);
  }

  private void over(OpenCall opened) {
    open.remove(opened);
    reads.release();
  }

  /** A copy that is held. */
  public Optional<HeldCopy> copy(String id) {
    return copies.find(id);
  }

  /**
   * What an {@link #extend} did.
   *
   * @param ranks of the engine that took the heartbeat
   * @param copies of the agent that are kept for longer
   */
  public record Extended(int ranks, int copies) {}

  /** Lets {@code holders} keep what they hold of a hand-off for longer. */
  public CompletableFuture<Extended> extend(HandOff handOff, Set<Holder> holders) {
    return call(() -> {
      Deadline deadline = shortDeadline();
      int extended = holders.contains(Holder.AGENT) ? copies.extend(handOff) : 0;
      int ranks =
          holders.contains(Holder.ENGINE)
              ? tell(
                  handOff,
                  deadline,
                  engine -> engine.extend(handOff.requestId(), deadline, options.shortCall()))
              : 0;
      return new Extended(ranks, extended);
    });
  }

  /** Who holds what is to be released or kept. */
  public enum Holder {
    /** The prefill engine its blocks. */
    ENGINE,
    /** The agent its copies. */
    AGENT
  }

  /**
   * What a {@link #release} did.
   *
   * @param ranks of the engine that took the notification
   * @param copies of the agent that were dropped
   * @param freedBytes memory of the agent that is free again
   */
  public record Released(int ranks, int copies, long freedBytes) {}

  /**
   * Releases what {@code holders} hold of a hand-off.
   *
   * @param copyId the only copy that goes; empty: all of them
   */
  public CompletableFuture<Released> release(
      HandOff handOff, Set<Holder> holders, Optional<String> copyId) {
    return call(() -> {
      // The own copies first: they go even if the engine is gone.
      Copies.Dropped dropped =
          holders.contains(Holder.AGENT) ? copies.drop(handOff, copyId) : new Copies.Dropped(0, 0);
      int ranks = 0;
      if (holders.contains(Holder.ENGINE)) {
        Deadline deadline = shortDeadline();
        ranks =
            tell(
                handOff,
                deadline,
                engine -> engine.release(handOff.requestId(), deadline, options.shortCall()));
      }
      return new Released(ranks, dropped.copies(), dropped.bytes());
    });
  }

  /** Tells an engine something; gives the number of its ranks. */
  private int tell(HandOff handOff, Deadline deadline, Consumer<KnownEngine> what) {
    KnownEngine engine = engines.meet(handOff.engine(), deadline);
    try {
      what.accept(engine);
      return engine.ranks();
    } catch (AgentRefusal e) {
      if (e.reason() == Reason.UNREACHABLE) {
        // A connection that broke stays broken: the next call makes a new one.
        engines.forget(engine);
      }
      throw e;
    }
  }

  /**
   * An edge in figures.
   *
   * @param probeBytes size of a probe
   * @param latency of the smallest read, median of all rounds
   * @param bytesPerSecond of the fastest round
   */
  public record Edge(long probeBytes, Duration latency, long bytesPerSecond) {}

  /** Measures the edge from an engine to this agent. */
  public CompletableFuture<Edge> measure(RemoteEngine engine, long probeBytes, int rounds) {
    return call(() -> {
      Deadline deadline = new Deadline(nanoClock, options.longestRead());
      KnownEngine met = engines.meet(engine, deadline);
      Probe.Figures figures =
          Probe.measure(met, memory, probeBytes, rounds, deadline, options.shortCall());
      return new Edge(figures.probeBytes(), figures.latency(), figures.bytesPerSecond());
    });
  }

  private Deadline shortDeadline() {
    return new Deadline(nanoClock, options.shortCall());
  }

  private <T> CompletableFuture<T> call(Supplier<T> what) {
    CompletableFuture<T> answer = new CompletableFuture<>();
    if (!shortCalls.tryAcquire()) {
      answer.completeExceptionally(
          new AgentRefusal(
              Reason.OVERLOADED, "%d calls are under way already".formatted(SHORT_CALLS_AT_ONCE)));
      return answer;
    }
    try {
      calls.execute(() -> {
        try {
          answer.complete(what.get());
        } catch (OutOfMemoryError e) {
          answer.completeExceptionally(
              new AgentRefusal(
                  Reason.MEMORY_FULL, "the agent has no memory left: " + e.getMessage()));
        } catch (RuntimeException e) {
          answer.completeExceptionally(e);
        } finally {
          shortCalls.release();
        }
      });
    } catch (RejectedExecutionException e) {
      shortCalls.release();
      answer.completeExceptionally(new AgentRefusal(Reason.CLOSED, "the agent is ending"));
    }
    return answer;
  }

  /** Gives up all reads, closes the transport and frees all memory. Blocks. Idempotent. */
  @Override
  public void close() {
    reaper.shutdown();
    calls.shutdown();
    open.forEach(call -> call.cancel(Reason.CLOSED));
    engines.close();
    virtual.close();
    transport.blocks().close();
    boolean ended = false;
    try {
      // They may still pass bytes to the copiers.
      ended = calls.awaitTermination(LONGEST_CLOSE.toSeconds(), TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    copiers.shutdown();
    if (ended) {
      // Otherwise a call may still touch it, and the process is ending anyway.
      memory.close();
    }
  }
}
