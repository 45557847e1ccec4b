package dev.millrace.transfer.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.layout.BlockTable;
import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.GeometryText;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Parallelism;
import dev.millrace.transfer.Peer;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
import dev.millrace.transfer.tcp.TcpTransport;
import dev.millrace.transfer.tcp.TcpTransportOptions;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class KvAgentTest {
  private static final ModelShape MODEL = ModelShape.dense(3, 4, 16, ElementType.BFLOAT16);
  private static final Duration LONG = Duration.ofSeconds(30);
  private static final Set<KvAgent.Holder> BOTH = Set.of(KvAgent.Holder.values());

  private final List<AutoCloseable> started = new ArrayList<>();
  private volatile Instant now = Instant.parse("2026-11-21T12:00:00Z");

  @AfterEach
  void close() throws Exception {
    for (AutoCloseable each : started.reversed()) {
      each.close();
    }
  }

  private static GeometrySpec spec(int tensor, int block, Layout layout) {
    return new GeometrySpec(MODEL, Parallelism.tensor(tensor), block, layout, 4096 / block);
  }

  private LocalEngine engine(GeometrySpec spec) {
    return engine(spec, UnaryOperator.identity());
  }

  private LocalEngine engine(GeometrySpec spec, UnaryOperator<byte[]> described) {
    LocalEngine engine = new LocalEngine("engine-1", spec, described);
    started.add(engine);
    return engine;
  }

  private KvAgent agent(long budgetBytes, AgentOptions.SideChannel... listed) {
    return agent(
        AgentTransport.of(
            TcpTransport.start(TcpTransportOptions.loopback("agent", LocalEngine.SECRET))),
        budgetBytes,
        listed);
  }

  private KvAgent agent(
      AgentTransport transport, long budgetBytes, AgentOptions.SideChannel... listed) {
    InstantSource clock = () -> now;
    KvAgent agent =
        KvAgent.start(
            new AgentOptions(
                List.of(listed),
                budgetBytes,
                1 << 20,
                Duration.ofSeconds(60),
                LONG,
                Duration.ofSeconds(5),
                4),
            transport,
            clock,
            System::nanoTime);
    started.add(agent);
    return agent;
  }

  private static ReadOrder order(HandOff handOff) {
    return new ReadOrder(handOff, ReadOrder::asSource, 0, LONG, ReadOrder.AfterRead.KEEP);
  }

  /** All events of a read, the last one last. */
  private static List<ReadEvent> read(KvAgent agent, ReadOrder order) {
    List<ReadEvent> events = new CopyOnWriteArrayList<>();
    CompletableFuture<Void> over = new CompletableFuture<>();
    var _ = agent.read(order, event -> note(events, over, event));
    over.orTimeout(40, TimeUnit.SECONDS).join();
    return events;
  }

  private static void note(List<ReadEvent> events, CompletableFuture<Void> over, ReadEvent event) {
    events.add(event);
    if (event instanceof ReadEvent.Done || event instanceof ReadEvent.Failed) {
      over.complete(null);
    }
  }

  private static ReadEvent.Done done(List<ReadEvent> events) {
    assertThat(events.getLast()).isInstanceOf(ReadEvent.Done.class);
    return (ReadEvent.Done) events.getLast();
  }

  private static ReadEvent.Failed failed(List<ReadEvent> events) {
    assertThat(events.getLast()).isInstanceOf(ReadEvent.Failed.class);
    return (ReadEvent.Failed) events.getLast();
  }

  private static void await(BooleanSupplier condition) throws InterruptedException {
    long end = System.nanoTime() + LONG.toNanos();
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime()).isLessThan(end);
      Thread.sleep(2);
    }
  }

  private static AgentRefusal refusal(CompletableFuture<?> call) {
    try {
      call.orTimeout(40, TimeUnit.SECONDS).join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof AgentRefusal refusal) {
        return refusal;
      }
      throw e;
    }
    throw new AssertionError("was not refused");
  }

  @ParameterizedTest
  @CsvSource({
    "1, 16, HND, 1, 16, HND, 0",
    "2, 16, HND, 1, 32, NHD, 0",
    "1, 32, NHD, 2, 16, HND, 0",
    "4, 64, HND, 2, 16, CROSS_LAYER, 0",
    "1, 16, CPU_ATTENTION, 2, 32, HND, 0",
    "2, 16, HND, 1, 32, HND, 45",
  })
  void read_bringsEveryElement(
      int sourceTensor,
      int sourceBlock,
      Layout sourceLayout,
      int tensor,
      int block,
      Layout layout,
      int from) {
    LocalEngine engine = engine(spec(sourceTensor, sourceBlock, sourceLayout));
    KvAgent agent = agent(8 << 20, engine.listing());
    int tokens = 150;
    List<Integer> ids =
        IntStream.range(0, Math.ceilDiv(tokens, sourceBlock)).map(i -> 40 - 3 * i).boxed().toList();
    HandOff handOff = engine.handOff("cmpl-1", tokens, ids);

    List<ReadEvent> events =
        read(
            agent,
            new ReadOrder(
                handOff,
                source -> new TargetShape(tensor, block, layout),
                from,
                LONG,
                ReadOrder.AfterRead.KEEP));

    ReadEvent.Done done = done(events);
    assertThat(events.get(0)).isInstanceOf(ReadEvent.Handshaken.class);
    assertThat(events.get(1)).isInstanceOf(ReadEvent.Posted.class);
    assertThat(done.bytes()).isGreaterThanOrEqualTo(MODEL.bytesPerToken() * (tokens - from));
    HeldCopy copy = agent.copy(done.copyId()).orElseThrow();
    Elements there =
        new Elements(
            engine.geometry(),
            BlockTable.of(ids.stream().mapToInt(Integer::intValue).toArray()),
            rank -> engine.memory(rank.tensor()));
    Elements here = new Elements(copy.geometry(), copy.tables().getFirst(), rank -> copy.memory());
    for (int token = from; token < Math.ceilDiv(tokens, block) * block; token++) {
      for (int layer = 0; layer < 3; layer++) {
        for (int kv = 0; kv < 2; kv++) {
          for (int head = 0; head < 4; head++) {
            for (int dim = 0; dim < 16; dim++) {
              short expected = token < tokens ? there.at(layer, kv, head, token, dim) : 0;
              if (here.at(layer, kv, head, token, dim) != expected) {
                throw new AssertionError(
                    "token %d, layer %d, kv %d, head %d, dim %d differs"
                        .formatted(token, layer, kv, head, dim));
              }
            }
          }
        }
      }
    }
  }

  @Test
  void read_ofASlidingWindowAndFullLayers_bringsBoth() {
    GeometrySpec spec =
        GeometryText.parse(
            "tp=1,block=16,blocks=64,layers=4,heads=4,head-size=16,dtype=bf16,window=20");
    LocalEngine engine = engine(spec);
    KvAgent agent = agent(8 << 20, engine.listing());
    // 100 tokens: the window's last 20 lie in the last 2 of 7 blocks.
    List<Integer> sliding = List.of(50, 51);
    List<Integer> full = List.of(1, 2, 3, 4, 5, 6, 7);
    HandOff handOff = new HandOff(engine.remote(), "cmpl-1", List.of(sliding, full), 100);

    ReadEvent.Done done =
        done(
            read(
                agent,
                new ReadOrder(
                    handOff,
                    source -> new TargetShape(2, 32, Layout.HND),
                    0,
                    LONG,
                    ReadOrder.AfterRead.KEEP)));

    HeldCopy copy = agent.copy(done.copyId()).orElseThrow();
    List<BlockTable> tables =
        List.of(BlockTable.startingAt(5, 50, 51), BlockTable.of(1, 2, 3, 4, 5, 6, 7));
    for (int group = 0; group < 2; group++) {
      Elements there =
          new Elements(
              engine.geometry(), group, tables.get(group), rank -> engine.memory(rank.tensor()));
      Elements here =
          new Elements(copy.geometry(), group, copy.tables().get(group), rank -> copy.memory());
      for (int token = group == 0 ? 80 : 0; token < 100; token++) {
        for (int layer = 0; layer < 2; layer++) {
          for (int head = 0; head < 4; head++) {
            assertThat(here.at(layer, 1, head, token, 5))
                .isEqualTo(there.at(layer, 1, head, token, 5));
          }
        }
      }
    }
  }

  /** States have no layout to choose, but ranks; the pages of both sides differ. */
  @ParameterizedTest
  @CsvSource({"1, 2", "2, 1", "2, 2"})
  void read_ofAHybrid_bringsTokensAndStates(int from, int to) {
    GeometrySpec spec =
        GeometryText.parse(
            "tp=%d,block=4,blocks=512,layers=2,heads=4,head-size=16,dtype=bf16,state=mamba2:8:4:2:16,state-dtype=fp32,per-id=8"
                .formatted(from));
    LocalEngine engine = engine(spec);
    KvAgent agent = agent(8 << 20, engine.listing());
    HandOff handOff =
        new HandOff(engine.remote(), "cmpl-1", List.of(List.of(9), List.of(1, 5)), 60);

    ReadEvent.Done done =
        done(
            read(
                agent,
                new ReadOrder(
                    handOff,
                    source -> new TargetShape(to, 16, Layout.NHD),
                    0,
                    LONG,
                    ReadOrder.AfterRead.KEEP)));

    HeldCopy copy = agent.copy(done.copyId()).orElseThrow();
    Elements states =
        new Elements(engine.geometry(), 0, BlockTable.of(9), rank -> engine.memory(rank.tensor()));
    Elements ownStates =
        new Elements(copy.geometry(), 0, copy.tables().get(0), rank -> copy.memory());
    Elements tokens =
        new Elements(
            engine.geometry(), 1, BlockTable.of(1, 5), rank -> engine.memory(rank.tensor()));
    Elements ownTokens =
        new Elements(copy.geometry(), 1, copy.tables().get(1), rank -> copy.memory());
    for (int layer = 0; layer < 2; layer++) {
      for (int channel : List.of(0, 31, 32, 63, 64, 95, 96, 103)) {
        assertThat(ownStates.ofState(layer, channel, 2))
            .isEqualTo(states.ofState(layer, channel, 2));
      }
      for (int token = 0; token < 60; token++) {
        assertThat(ownTokens.at(layer, 1, 3, token, 7)).isEqualTo(tokens.at(layer, 1, 3, token, 7));
      }
    }
  }

  @Test
  void read_withRelease_tellsEveryRankOnce() {
    LocalEngine engine = engine(spec(2, 16, Layout.HND));
    KvAgent agent = agent(8 << 20, engine.listing());
    HandOff handOff = engine.handOff("cmpl-1", 20, List.of(3, 4));
    ReadEvent.Done _ =
        done(
            read(
                agent,
                new ReadOrder(handOff, ReadOrder::asSource, 0, LONG, ReadOrder.AfterRead.RELEASE)));
    assertThat(engine.heard).containsExactlyInAnyOrder("0 cmpl-1:1", "1 cmpl-1:1");
  }

  @Test
  void release_ofBoth_tellsTheEngineAndFreesTheCopy() {
    LocalEngine engine = engine(spec(2, 16, Layout.HND));
    KvAgent agent = agent(8 << 20, engine.listing());
    HandOff handOff = engine.handOff("cmpl-1", 20, List.of(3, 4));
    ReadEvent.Done _ = done(read(agent, order(handOff)));
    long held = agent.holdings().heldBytes();

    KvAgent.Released released =
        agent.release(handOff, Set.of(KvAgent.Holder.values()), Optional.empty()).join();

    assertThat(released).isEqualTo(new KvAgent.Released(2, 1, held));
    assertThat(held).isPositive();
    assertThat(agent.holdings().heldBytes()).isZero();
    assertThat(engine.heard).containsExactlyInAnyOrder("0 cmpl-1:1", "1 cmpl-1:1");
  }

  @Test
  void extend_beatsForEveryRankAndKeepsTheCopy() throws InterruptedException {
    LocalEngine engine = engine(spec(2, 16, Layout.HND));
    KvAgent agent = agent(8 << 20, engine.listing());
    HandOff handOff = engine.handOff("cmpl-1", 20, List.of(3, 4));
    ReadEvent.Done done = done(read(agent, order(handOff)));
    now = now.plusSeconds(59);
    assertThat(agent.extend(handOff, BOTH).join()).isEqualTo(new KvAgent.Extended(2, 1));
    assertThat(engine.heard).containsExactlyInAnyOrder("0 HB:cmpl-1", "1 HB:cmpl-1");
    now = now.plusSeconds(59);
    // A read that was made later, and expires with this one, shows that expiry was looked at.
    HandOff other = engine.handOff("cmpl-2", 20, List.of(5, 6));
    ReadEvent.Done _ = done(read(agent, order(other)));
    assertThat(agent.copy(done.copyId())).isPresent();
    now = now.plusSeconds(2);
    await(() -> agent.copy(done.copyId()).isEmpty());
    assertThat(agent.holdings().copies()).isEqualTo(1);
    now = now.plusSeconds(60);
    await(() -> agent.holdings().heldBytes() == 0);
  }

  @Test
  void sideChannel_thatIsNotListed_isNotContacted() {
    LocalEngine engine = engine(spec(1, 16, Layout.HND));
    KvAgent agent = agent(8 << 20);
    ReadEvent.Failed failed =
        failed(read(agent, order(engine.handOff("cmpl-1", 20, List.of(3, 4)))));
    assertThat(failed.reason()).isEqualTo(Reason.NOT_ALLOWED);
    assertThat(failed.message()).contains("127.0.0.1:" + engine.port()).contains("side-channels");
  }

  @Test
  void engine_withAnotherId_isRefused() {
    LocalEngine engine = engine(spec(1, 16, Layout.HND));
    KvAgent agent = agent(8 << 20, engine.listing());
    RemoteEngine other = new RemoteEngine("engine-0", "127.0.0.1", engine.port(), 1, 1);
    AgentRefusal refusal =
        refusal(
            agent.release(
                new HandOff(other, "cmpl-1", List.of(), 0),
                Set.of(KvAgent.Holder.ENGINE),
                Optional.empty()));
    assertThat(refusal.reason()).isEqualTo(Reason.MISMATCH);
    assertThat(refusal.text()).contains("engine-0").contains("engine-1");
  }

  @Test
  void ranks_moreThanTheEngineHas_areNotAskedFor() {
    LocalEngine engine = engine(spec(1, 16, Layout.HND));
    KvAgent agent = agent(8 << 20, engine.listing());
    RemoteEngine wider = new RemoteEngine("engine-1", "127.0.0.1", engine.port(), 2, 1);
    AgentRefusal refusal = refusal(agent.extend(new HandOff(wider, "cmpl-1", List.of(), 0), BOTH));
    assertThat(refusal.reason()).isEqualTo(Reason.MISMATCH);
    assertThat(engine.refusedQuestions()).isZero();
  }

  @Test
  void engine_startedAnewAtItsAddress_isMetAnew() {
    LocalEngine engine = engine(spec(1, 16, Layout.HND));
    KvAgent agent = agent(8 << 20, engine.listing());
    RemoteEngine gone = new RemoteEngine("engine-0", "127.0.0.1", engine.port(), 1, 1);
    AgentRefusal _ = refusal(agent.extend(new HandOff(gone, "cmpl-1", List.of(), 0), BOTH));
    assertThat(agent.extend(engine.handOff("cmpl-2", 0, List.of()), BOTH).join().ranks())
        .isEqualTo(1);
  }

  @Test
  void engine_namedByAnOldHandOff_isNotDisturbed() {
    LocalEngine engine = engine(spec(2, 16, Layout.HND));
    TroubledTransport transport = new TroubledTransport();
    KvAgent agent = agent(transport, 8 << 20, engine.listing());
    ReadEvent.Done _ = done(read(agent, order(engine.handOff("cmpl-1", 20, List.of(3, 4)))));
    assertThat(transport.peers()).isEqualTo(2);
    RemoteEngine gone = new RemoteEngine("engine-0", "127.0.0.1", engine.port(), 2, 1);

    AgentRefusal refusal = refusal(agent.extend(new HandOff(gone, "cmpl-0", List.of(), 0), BOTH));

    assertThat(refusal.reason()).isEqualTo(Reason.MISMATCH);
    assertThat(transport.peers()).isEqualTo(2);
    assertThat(transport.connected).hasSize(2);
  }

  @Test
  void release_afterAConnectionBroke_worksTheNextTime() {
    LocalEngine engine = engine(spec(1, 16, Layout.HND));
    TroubledTransport transport = new TroubledTransport();
    KvAgent agent = agent(transport, 8 << 20, engine.listing());
    HandOff handOff = engine.handOff("cmpl-1", 20, List.of(3, 4));
    ReadEvent.Done _ = done(read(agent, order(handOff)));
    // As NIXL's links, such a peer never works again.
    transport.connected.forEach(Peer::close);

    AgentRefusal refusal =
        refusal(agent.release(handOff, Set.of(KvAgent.Holder.ENGINE), Optional.empty()));
    KvAgent.Released released =
        agent.release(handOff, Set.of(KvAgent.Holder.ENGINE), Optional.empty()).join();

    assertThat(refusal.reason()).isEqualTo(Reason.UNREACHABLE);
    assertThat(released.ranks()).isEqualTo(1);
    assertThat(engine.heard).containsExactly("0 cmpl-1:1");
  }

  @Test
  void holdings_whileMemoryIsBeingRegistered_areToldAtOnce() throws InterruptedException {
    LocalEngine engine = engine(spec(1, 16, Layout.HND));
    TroubledTransport transport = new TroubledTransport();
    KvAgent agent = agent(transport, 8 << 20, engine.listing());
    CountDownLatch registering = new CountDownLatch(1);
    CountDownLatch goOn = new CountDownLatch(1);
    transport.whenRegistering =
        () -> {
          registering.countDown();
          try {
            assertThat(goOn.await(30, TimeUnit.SECONDS)).isTrue();
          } catch (InterruptedException e) {
            throw new AssertionError(e);
          }
        };
    List<ReadEvent> events = new CopyOnWriteArrayList<>();
    CompletableFuture<Void> over = new CompletableFuture<>();
    var _ =
        agent.read(
            order(engine.handOff("cmpl-1", 20, List.of(3, 4))), event -> note(events, over, event));
    assertThat(registering.await(30, TimeUnit.SECONDS)).isTrue();

    CompletableFuture<KvAgent.Holdings> holdings = CompletableFuture.supplyAsync(agent::holdings);

    assertThat(holdings.orTimeout(20, TimeUnit.SECONDS).join().registeredBytes()).isZero();
    goOn.countDown();
    over.join();
    ReadEvent.Done _ = done(events);
    assertThat(agent.holdings().registeredBytes()).isPositive();
  }

  @Test
  void slab_whoseMemoryIsStillInUse_staysInTheBudgetUntilItIsNot() {
    LocalEngine engine = engine(spec(1, 16, Layout.HND));
    TroubledTransport transport = new TroubledTransport();
    KvAgent agent = agent(transport, 1 << 20, engine.listing());
    HandOff handOff = engine.handOff("cmpl-1", 20, List.of(3, 4));
    ReadEvent.Done _ = done(read(agent, order(handOff)));
    KvAgent.Released _ =
        agent.release(handOff, Set.of(KvAgent.Holder.AGENT), Optional.empty()).join();
    long registered = agent.holdings().registeredBytes();
    ReadOrder wider =
        new ReadOrder(
            handOff,
            source -> new TargetShape(2, 32, Layout.NHD),
            0,
            LONG,
            ReadOrder.AfterRead.KEEP);

    transport.letsGo = false;
    assertThat(failed(read(agent, wider)).reason()).isEqualTo(Reason.MEMORY_FULL);
    assertThat(agent.holdings().registeredBytes()).isEqualTo(registered);
    transport.letsGo = true;

    ReadEvent.Done _ = done(read(agent, wider));
    assertThat(agent.holdings().registeredBytes()).isLessThanOrEqualTo(1 << 20);
  }

  @Test
  void reaper_thatFailsOnce_goesOn() throws Exception {
    try (StalledPeer stalled = new StalledPeer()) {
      LocalEngine engine = engine(spec(1, 16, Layout.HND), described -> stalled.instead());
      TroubledTransport transport = new TroubledTransport();
      KvAgent agent = agent(transport, 8 << 20, engine.listing());
      AtomicInteger failures = new AtomicInteger();
      transport.written =
          _ -> {
            if (failures.get() == 0 && Thread.currentThread().getName().equals("agent-reaper")) {
              failures.incrementAndGet();
              throw new IllegalStateException("this stack trace belongs to a test");
            }
            return failures.get() == 0;
          };
      List<ReadEvent> events = new CopyOnWriteArrayList<>();
      CompletableFuture<Void> over = new CompletableFuture<>();
      KvAgent.ReadCall call =
          agent.read(
              order(engine.handOff("cmpl-1", 20, List.of(3, 4))),
              event -> note(events, over, event));
      assertThat(stalled.awaitCaller()).isTrue();

      call.cancel();

      over.join();
      assertThat(failed(events).quarantinedBytes()).isPositive();
      await(() -> agent.holdings().quarantinedBytes() == 0);
      assertThat(failures.get()).isEqualTo(1);
    }
  }

  @Test
  void budget_thatIsFull_refusesUntilACopyGoes() {
    LocalEngine engine = engine(spec(1, 16, Layout.HND));
    KvAgent agent = agent(1 << 20, engine.listing());
    // 1 MiB holds 85 blocks of 12 KiB: one such sequence, not two.
    List<Integer> ids = IntStream.range(0, 80).boxed().toList();
    HandOff first = engine.handOff("cmpl-1", 1280, ids);
    HandOff second = engine.handOff("cmpl-2", 1280, ids);
    ReadEvent.Done _ = done(read(agent, order(first)));

    ReadEvent.Failed failed = failed(read(agent, order(second)));

    assertThat(failed.reason()).isEqualTo(Reason.MEMORY_FULL);
    assertThat(failed.quarantinedBytes()).isZero();
    KvAgent.Released _ =
        agent.release(first, Set.of(KvAgent.Holder.AGENT), Optional.empty()).join();
    ReadEvent.Done _ = done(read(agent, order(second)));
  }

  @Test
  void slab_ofAnotherGeometry_makesRoomWhenItIsIdle() {
    LocalEngine engine = engine(spec(1, 16, Layout.HND));
    KvAgent agent = agent(1 << 20, engine.listing());
    HandOff handOff = engine.handOff("cmpl-1", 20, List.of(3, 4));
    ReadEvent.Done _ = done(read(agent, order(handOff)));
    ReadOrder wider =
        new ReadOrder(
            handOff,
            source -> new TargetShape(2, 32, Layout.NHD),
            0,
            LONG,
            ReadOrder.AfterRead.KEEP);
    assertThat(failed(read(agent, wider)).reason()).isEqualTo(Reason.MEMORY_FULL);
    KvAgent.Released _ =
        agent.release(handOff, Set.of(KvAgent.Holder.AGENT), Optional.empty()).join();
    ReadEvent.Done _ = done(read(agent, wider));
    assertThat(agent.holdings().registeredBytes()).isLessThanOrEqualTo(1 << 20);
  }

  @Test
  void blockId_thatTheEngineDoesNotHave_isRefused() {
    LocalEngine engine = engine(spec(1, 16, Layout.HND));
    KvAgent agent = agent(8 << 20, engine.listing());
    ReadEvent.Failed failed =
        failed(read(agent, order(engine.handOff("cmpl-1", 20, List.of(3, 256)))));
    assertThat(failed.reason()).isEqualTo(Reason.INVALID);
    assertThat(agent.holdings().heldBytes()).isZero();
  }

  @Test
  void blockIds_fewerThanTheTokensNeed_areRefused() {
    LocalEngine engine = engine(spec(1, 16, Layout.HND));
    KvAgent agent = agent(8 << 20, engine.listing());
    ReadEvent.Failed failed =
        failed(read(agent, order(engine.handOff("cmpl-1", 33, List.of(3, 4)))));
    assertThat(failed.reason()).isEqualTo(Reason.INVALID);
  }

  @Test
  void read_ofAPeerThatStalls_endsAtItsDeadline() throws Exception {
    try (StalledPeer stalled = new StalledPeer()) {
      LocalEngine engine = engine(spec(1, 16, Layout.HND), description -> stalled.instead());
      KvAgent agent = agent(8 << 20, engine.listing());
      long start = System.nanoTime();
      ReadEvent.Failed failed =
          failed(
              read(
                  agent,
                  new ReadOrder(
                      engine.handOff("cmpl-1", 20, List.of(3, 4)),
                      ReadOrder::asSource,
                      0,
                      Duration.ofMillis(300),
                      ReadOrder.AfterRead.KEEP)));
      assertThat(failed.reason()).isIn(Reason.DEADLINE, Reason.PEER_LOST);
      assertThat(failed.bytes()).isZero();
      assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(4));
      await(() -> agent.holdings().quarantinedBytes() == 0);
      assertThat(agent.holdings().heldBytes()).isZero();
    }
  }

  @Test
  void read_thatIsCancelled_saysWhatIsQuarantinedAndFreesItLater() throws Exception {
    try (StalledPeer stalled = new StalledPeer()) {
      LocalEngine engine = engine(spec(1, 16, Layout.HND), description -> stalled.instead());
      KvAgent agent = agent(8 << 20, engine.listing());
      CountDownLatch posted = new CountDownLatch(1);
      List<ReadEvent> events = new CopyOnWriteArrayList<>();
      CompletableFuture<Void> over = new CompletableFuture<>();
      KvAgent.ReadCall call =
          agent.read(
              new ReadOrder(
                  engine.handOff("cmpl-1", 20, List.of(3, 4)),
                  ReadOrder::asSource,
                  0,
                  Duration.ofSeconds(2),
                  ReadOrder.AfterRead.KEEP),
              event -> {
                if (event instanceof ReadEvent.Posted) {
                  posted.countDown();
                }
                note(events, over, event);
              });
      assertThat(posted.await(20, TimeUnit.SECONDS)).isTrue();
      assertThat(stalled.awaitCaller()).isTrue();
      call.cancel();
      over.orTimeout(20, TimeUnit.SECONDS).join();

      ReadEvent.Failed failed = failed(events);
      assertThat(failed.reason()).isEqualTo(Reason.CANCELLED);
      assertThat(failed.quarantinedBytes()).isEqualTo(2 * 16 * MODEL.bytesPerToken());
      await(() -> agent.holdings().quarantinedBytes() == 0);
      assertThat(agent.holdings().openReads()).isZero();
    }
  }

  @Test
  void reads_moreThanMayRun_areRefused() throws Exception {
    try (StalledPeer stalled = new StalledPeer()) {
      LocalEngine engine = engine(spec(1, 16, Layout.HND), description -> stalled.instead());
      KvAgent agent = agent(8 << 20, engine.listing());
      List<KvAgent.ReadCall> calls = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        calls.add(
            agent.read(
                new ReadOrder(
                    engine.handOff("cmpl-" + i, 20, List.of(3, 4)),
                    ReadOrder::asSource,
                    0,
                    Duration.ofSeconds(2),
                    ReadOrder.AfterRead.KEEP),
                event -> {}));
      }
      assertThat(failed(read(agent, order(engine.handOff("cmpl-9", 20, List.of(3, 4))))).reason())
          .isEqualTo(Reason.OVERLOADED);
      calls.forEach(KvAgent.ReadCall::cancel);
      await(() -> agent.holdings().openReads() == 0);
    }
  }

  private static void exhaustMemory() {
    throw new OutOfMemoryError("this stack trace belongs to a test");
  }

  @Test
  void read_thatFindsNoMemory_failsAndLetsGoOfWhatItHas() {
    LocalEngine engine = engine(spec(2, 16, Layout.HND));
    TroubledTransport transport = new TroubledTransport();
    KvAgent agent = agent(transport, 8 << 20, engine.listing());
    transport.whenConnecting = KvAgentTest::exhaustMemory;
    ReadOrder order = order(engine.handOff("cmpl-1", 20, List.of(3, 4)));

    ReadEvent.Failed failed = failed(read(agent, order));

    assertThat(failed.reason()).isEqualTo(Reason.MEMORY_FULL);
    assertThat(agent.holdings().heldBytes()).isZero();
    transport.whenConnecting = () -> {};
    ReadEvent.Done _ = done(read(agent, order));
  }

  @Test
  void measure_thatFindsNoMemory_fails() {
    LocalEngine engine = engine(spec(2, 16, Layout.HND));
    TroubledTransport transport = new TroubledTransport();
    KvAgent agent = agent(transport, 8 << 20, engine.listing());
    transport.whenRegistering = KvAgentTest::exhaustMemory;

    AgentRefusal refusal = refusal(agent.measure(engine.remote(), 100_000, 3));

    assertThat(refusal.reason()).isEqualTo(Reason.MEMORY_FULL);
  }

  @Test
  void measure_saysHowFastAnEdgeIs() {
    LocalEngine engine = engine(spec(2, 16, Layout.HND));
    KvAgent agent = agent(8 << 20, engine.listing());
    KvAgent.Edge edge = agent.measure(engine.remote(), 100_000, 3).join();
    // A rank's block in one layer: 2 heads, 16 tokens, K and V of 16 bf16.
    assertThat(edge.probeBytes()).isEqualTo(100_000 / 2048 * 2048L);
    assertThat(edge.bytesPerSecond()).isPositive();
    assertThat(edge.latency()).isPositive();
    assertThat(agent.holdings().registeredBytes()).isZero();
  }

  @Test
  void heartbeat_forAConnectorWithoutThem_isRefused() {
    LocalEngine engine = engine(spec(1, 16, Layout.HND));
    AgentOptions.SideChannel old =
        new AgentOptions.SideChannel(
            "127.0.0.1", engine.port(), "tiny", MODEL, ConnectorVersion.V3, Optional.empty());
    AgentRefusal refusal =
        refusal(agent(8 << 20, old).extend(engine.handOff("a", 0, List.of()), BOTH));
    assertThat(refusal.reason()).isEqualTo(Reason.MISMATCH);
  }

  @Test
  void requestId_withAComma_isRefused() {
    RemoteEngine engine = new RemoteEngine("engine-1", "127.0.0.1", 5600, 1, 1);
    assertThatThrownBy(() -> new HandOff(engine, "a,b", List.of(), 0))
        .isInstanceOf(AgentRefusal.class)
        .hasMessageContaining("comma");
  }
}
