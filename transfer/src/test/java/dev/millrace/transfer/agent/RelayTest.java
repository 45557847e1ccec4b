package dev.millrace.transfer.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.BlockTable;
import dev.millrace.layout.CacheGroup;
import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Parallelism;
import dev.millrace.layout.Rank;
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
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RelayTest {
  private static final ModelShape MODEL = ModelShape.dense(3, 4, 16, ElementType.BFLOAT16);
  private static final Duration LONG = Duration.ofSeconds(30);
  private static final Duration HOLD = Duration.ofSeconds(60);

  private final List<AutoCloseable> started = new ArrayList<>();
  private volatile Instant now = Instant.parse("2026-11-21T12:00:00Z");

  @AfterEach
  void close() throws Exception {
    for (AutoCloseable each : started.reversed()) {
      each.close();
    }
  }

  private static GeometrySpec spec(int tensor, int block, Layout layout) {
    return spec(MODEL, tensor, block, layout);
  }

  private static GeometrySpec spec(ModelShape model, int tensor, int block, Layout layout) {
    return new GeometrySpec(model, Parallelism.tensor(tensor), block, layout, 8192 / block);
  }

  private LocalEngine engine(String id, GeometrySpec spec) {
    LocalEngine engine = new LocalEngine(id, spec);
    started.add(engine);
    return engine;
  }

  private KvAgent agent(LocalEngine... engines) {
    return agent(
        32 << 20, "127.0.0.1", List.of(engines).stream().map(LocalEngine::listing).toList());
  }

  private KvAgent agent(
      long engineBytes, String readers, List<AgentOptions.SideChannel> sideChannels) {
    AgentOptions options =
        new AgentOptions(sideChannels, 64 << 20, 1 << 20, HOLD, LONG, Duration.ofSeconds(5), 4)
            .with(
                new ServingOptions(
                    "127.0.0.1",
                    "127.0.0.1",
                    0,
                    0,
                    address -> address.getHostAddress().equals(readers),
                    engineBytes));
    InstantSource clock = () -> now;
    KvAgent agent =
        KvAgent.start(
            options,
            AgentTransport.of(tcp("agent"), () -> tcp("agent-serving")),
            clock,
            System::nanoTime);
    started.add(agent);
    return agent;
  }

  private static TcpTransport tcp(String name) {
    return TcpTransport.start(TcpTransportOptions.loopback(name, LocalEngine.SECRET));
  }

  private static Reader reader(LocalEngine engine) {
    return new Reader(
        Optional.of(engine.id), "127.0.0.1", engine.port(), engine.spec.parallelism().tensor());
  }

  private static HandOff handOff(LocalEngine engine, int tokens) {
    List<Integer> ids =
        IntStream.range(0, Math.ceilDiv(tokens, engine.spec.blockSize()))
            .map(i -> 90 - 3 * i)
            .boxed()
            .toList();
    return engine.handOff("cmpl-1", tokens, ids);
  }

  private static ReadEvent relay(KvAgent agent, RelayOrder order) {
    CompletableFuture<ReadEvent> last = new CompletableFuture<>();
    var _ =
        agent.relay(
            order,
            event -> {
              if (event instanceof ReadEvent.Done || event instanceof ReadEvent.Failed) {
                last.complete(event);
              }
            });
    return last.orTimeout(40, TimeUnit.SECONDS).join();
  }

  private static RelayOrder order(HandOff handOff, LocalEngine decode) {
    return new RelayOrder(handOff, reader(decode), Optional.empty(), 0, LONG);
  }

  private static ReadEvent.Done relayed(KvAgent agent, RelayOrder order) {
    ReadEvent last = relay(agent, order);
    assertThat(last).isInstanceOf(ReadEvent.Done.class);
    return (ReadEvent.Done) last;
  }

  private static HandOff told(ReadEvent.Done done) {
    return done.carriage().orElseThrow().handOff();
  }

  private static void await(BooleanSupplier condition) throws InterruptedException {
    long end = System.nanoTime() + LONG.toNanos();
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime()).isLessThan(end);
      Thread.sleep(2);
    }
  }

  private static BlockTable table(HandOff handOff) {
    return BlockTable.of(
        handOff.blockIds().getFirst().stream().mapToInt(Integer::intValue).toArray());
  }

  private static void requireEqual(
      LocalEngine prefill, BlockTable from, LocalEngine decode, BlockTable to, int tokens) {
    Elements there = new Elements(prefill.geometry(), from, rank -> prefill.memory(rank.tensor()));
    Function<Rank, java.lang.foreign.MemorySegment> own = rank -> decode.memory(rank.tensor());
    Elements here = new Elements(decode.geometry(), to, own);
    for (int token = 0; token < tokens; token++) {
      for (int layer = 0; layer < MODEL.layers(); layer++) {
        for (int kv = 0; kv < 2; kv++) {
          for (int head = 0; head < MODEL.kvHeads(); head++) {
            for (int dim = 0; dim < MODEL.headSize(); dim++) {
              long expected = there.all(layer, kv, head, token, dim).getFirst();
              if (!here.all(layer, kv, head, token, dim).stream().allMatch(e -> e == expected)) {
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

  @ParameterizedTest
  @CsvSource({
    "1, 64, HND, 1, 32, HND, 150",
    "1, 32, HND, 1, 64, HND, 150",
    "1, 16, HND, 1, 48, HND, 150",
    "1, 16, HND, 1, 16, NHD, 33",
    "1, 16, NHD, 1, 16, HND, 1",
    "2, 16, NHD, 1, 16, HND, 64",
    "1, 64, HND, 2, 32, HND, 150",
    "2, 32, HND, 1, 64, HND, 1000",
    "4, 64, HND, 2, 16, CROSS_LAYER, 150",
    "2, 16, CROSS_LAYER, 4, 64, NHD, 150",
    "1, 16, CPU_ATTENTION, 2, 32, HND, 150",
    "1, 32, HND, 1, 16, CPU_ATTENTION, 150",
    "8, 16, HND, 2, 32, NHD, 150",
    "1, 16, HND_SEPARATE, 2, 32, NHD, 2500",
  })
  void relay_bringsEveryElement(
      int sourceTensor,
      int sourceBlock,
      Layout sourceLayout,
      int tensor,
      int block,
      Layout layout,
      int tokens) {
    LocalEngine prefill = engine("p", spec(sourceTensor, sourceBlock, sourceLayout));
    LocalEngine decode = engine("d", spec(tensor, block, layout));
    KvAgent agent = agent(prefill, decode);
    int blocks = Math.ceilDiv(tokens, sourceBlock);
    HandOff handOff =
        prefill.handOff(
            "cmpl-1",
            tokens,
            IntStream.range(0, blocks).map(i -> 2 * blocks + 1 - 2 * i).boxed().toList());

    ReadEvent.Done done = relayed(agent, order(handOff, decode));

    // The prefill engine is free before the decode engine begins.
    assertThat(prefill.heard)
        .containsExactlyInAnyOrderElementsOf(
            IntStream.range(0, sourceTensor).mapToObj(rank -> rank + " cmpl-1:1").toList());
    HandOff told = told(done);
    assertThat(told.tokens()).isEqualTo(tokens);
    assertThat(told.blockIds().getFirst()).hasSize(Math.ceilDiv(tokens, block)).doesNotContain(0);
    DecodeSide side = new DecodeSide(decode);
    BlockTable to = side.read(told).getFirst();
    requireEqual(prefill, table(handOff), decode, to, tokens);
    side.notify(told);
    assertThat(agent.holdings().copies()).isZero();
    assertThat(agent.holdings().openReaders()).isZero();
  }

  @Test
  void relay_servesWindowsWithAsManyBlocksAsAReaderMayAskFor() {
    ModelShape model =
        new ModelShape(
            4,
            16,
            2,
            ElementType.BFLOAT16,
            List.of(
                new CacheGroup.Full(List.of(0, 2)),
                new CacheGroup.SlidingWindow(List.of(1, 3), 40)));
    LocalEngine prefill = engine("p", spec(model, 2, 16, Layout.HND));
    LocalEngine decode = engine("d", spec(model, 1, 32, Layout.NHD));
    KvAgent agent = agent(prefill, decode);
    HandOff handOff =
        new HandOff(
            prefill.remote(),
            "cmpl-1",
            List.of(IntStream.range(1, 11).boxed().toList(), List.of(21, 22, 23, 24)),
            150);

    ReadEvent.Done done = relayed(agent, order(handOff, decode));

    assertThat(told(done).blockIds().get(0)).hasSize(5);
    assertThat(told(done).blockIds().get(1)).hasSize(3);
    DecodeSide side = new DecodeSide(decode);
    List<BlockTable> to = side.read(told(done));
    Elements there =
        new Elements(
            prefill.geometry(),
            1,
            BlockTable.suffix(150, 16, 21, 22, 23, 24),
            rank -> prefill.memory(rank.tensor()));
    Elements here =
        new Elements(decode.geometry(), 1, to.get(1), rank -> decode.memory(rank.tensor()));
    for (int token = 110; token < 150; token++) {
      assertThat(here.at(1, 1, 2, token, 5)).isEqualTo(there.at(1, 1, 2, token, 5));
    }
  }

  @Test
  void copy_staysUntilEveryRankOfEveryReaderIsDone() {
    LocalEngine prefill = engine("p", spec(1, 64, Layout.HND));
    LocalEngine decode = engine("d", spec(2, 32, Layout.HND));
    KvAgent agent = agent(prefill, decode);
    HandOff handOff = handOff(prefill, 100);
    DecodeSide side = new DecodeSide(decode);

    ReadEvent.Done first = relayed(agent, order(handOff, decode));
    ReadEvent.Done second =
        relayed(
            agent, new RelayOrder(handOff, reader(decode), Optional.of(first.copyId()), 0, LONG));

    assertThat(second.carriage().orElseThrow().way()).isEqualTo(Carriage.Way.RELAYED_AGAIN);
    assertThat(told(second).requestId()).isNotEqualTo(told(first).requestId());
    assertThat(told(second).blockIds()).isEqualTo(told(first).blockIds());
    assertThat(prefill.heard).hasSize(1);
    side.say(0, told(first), told(first).requestId() + ":1");
    side.say(0, told(first), told(first).requestId() + ":1");
    assertThat(agent.holdings().openReaders()).isEqualTo(2);
    side.say(1, told(first), told(first).requestId() + ":1");
    assertThat(agent.holdings().openReaders()).isEqualTo(1);
    assertThat(agent.holdings().copies()).isEqualTo(1);
    side.notify(told(second));
    assertThat(agent.holdings().copies()).isZero();
    assertThat(
            relay(
                agent,
                new RelayOrder(handOff, reader(decode), Optional.of(first.copyId()), 0, LONG)))
        .isInstanceOfSatisfying(
            ReadEvent.Failed.class, failed -> assertThat(failed.reason()).isEqualTo(Reason.GONE));
  }

  @Test
  void copy_staysForAsManyReadersAsItWasMadeFor() {
    LocalEngine prefill = engine("p", spec(1, 64, Layout.HND));
    LocalEngine decode = engine("d", spec(1, 32, Layout.HND));
    KvAgent agent = agent(prefill, decode);
    HandOff handOff = handOff(prefill, 100);
    DecodeSide side = new DecodeSide(decode);

    ReadEvent.Done first =
        relayed(agent, new RelayOrder(handOff, reader(decode), Optional.empty(), 2, LONG));
    side.notify(told(first));

    assertThat(agent.holdings().copies()).isEqualTo(1);
    ReadEvent.Done second =
        relayed(
            agent, new RelayOrder(handOff, reader(decode), Optional.of(first.copyId()), 0, LONG));
    side.notify(told(second));
    assertThat(agent.holdings().copies()).isZero();
  }

  @Test
  void copy_expiresUnlessAHeartbeatKeepsIt() throws InterruptedException {
    LocalEngine prefill = engine("p", spec(1, 64, Layout.HND));
    LocalEngine decode = engine("d", spec(1, 32, Layout.HND));
    KvAgent agent = agent(prefill, decode);
    ReadEvent.Done done = relayed(agent, order(handOff(prefill, 100), decode));

    now = now.plus(HOLD).minusSeconds(1);
    new DecodeSide(decode).say(0, told(done), "HB:another," + told(done).requestId());
    now = now.plusSeconds(30);
    Thread.sleep(250);
    assertThat(agent.copy(done.copyId())).isPresent();

    now = now.plus(HOLD);
    await(() -> agent.holdings().copies() == 0);
    assertThat(agent.holdings().heldBytes()).isZero();
  }

  @Test
  void release_dropsTheCopyThatIsNamed() {
    LocalEngine prefill = engine("p", spec(1, 64, Layout.HND));
    LocalEngine decode = engine("d", spec(1, 32, Layout.HND));
    KvAgent agent = agent(prefill, decode);
    HandOff handOff = handOff(prefill, 100);
    ReadEvent.Done one = relayed(agent, order(handOff, decode));
    ReadEvent.Done other = relayed(agent, order(handOff, decode));

    KvAgent.Released released =
        agent.release(handOff, Set.of(KvAgent.Holder.AGENT), Optional.of(one.copyId())).join();

    assertThat(released.copies()).isEqualTo(1);
    assertThat(agent.copy(one.copyId())).isEmpty();
    assertThat(agent.copy(other.copyId())).isPresent();
  }

  @Test
  void relay_isRefusedWhereTheModelIsNotSaidToBeTheSame() {
    LocalEngine prefill = engine("p", spec(1, 64, Layout.HND));
    LocalEngine decode = engine("d", spec(1, 32, Layout.HND));
    AgentOptions.SideChannel other =
        new AgentOptions.SideChannel(
            "127.0.0.1",
            decode.port(),
            "another",
            MODEL,
            decode.listing().version(),
            Optional.empty());
    KvAgent agent = agent(32 << 20, "127.0.0.1", List.of(prefill.listing(), other));

    assertThat(relay(agent, order(handOff(prefill, 100), decode)))
        .isInstanceOfSatisfying(
            ReadEvent.Failed.class,
            failed -> {
              assertThat(failed.reason()).isEqualTo(Reason.UNPROVEN);
              assertThat(failed.message()).contains("another");
            });
    assertThat(prefill.heard).isEmpty();
  }

  @Test
  void relay_isRefusedWhenItsMemoryIsFull() {
    LocalEngine prefill = engine("p", spec(1, 64, Layout.HND));
    LocalEngine decode = engine("d", spec(1, 32, Layout.HND));
    long room = 5 * 32 * MODEL.bytesPerToken();
    KvAgent agent = agent(room, "127.0.0.1", List.of(prefill.listing(), decode.listing()));

    ReadEvent.Done _ = relayed(agent, order(handOff(prefill, 100), decode));
    ReadEvent second = relay(agent, order(handOff(prefill, 100), decode));

    assertThat(second)
        .isInstanceOfSatisfying(
            ReadEvent.Failed.class,
            failed -> {
              assertThat(failed.reason()).isEqualTo(Reason.MEMORY_FULL);
              assertThat(failed.message()).contains("memory.serving");
            });
  }

  @Test
  void strangersAreNotAnswered() {
    LocalEngine prefill = engine("p", spec(1, 64, Layout.HND));
    LocalEngine decode = engine("d", spec(1, 32, Layout.HND));
    KvAgent agent = agent(32 << 20, "10.0.0.8", List.of(prefill.listing(), decode.listing()));
    ReadEvent.Done done = relayed(agent, order(handOff(prefill, 100), decode));

    DecodeSide side = new DecodeSide(decode);
    try {
      side.read(told(done));
      throw new AssertionError("was answered");
    } catch (CompletionException refused) {
      assertThat(refused).hasMessageContaining("127.0.0.1");
    }
  }

  @ParameterizedTest
  @CsvSource({
    // The same memory in the same words: only the hash is another.
    "1, 32, HND, 1, 32, HND, BRIDGED, 32",
    "2, 16, HND, 1, 32, HND, BRIDGED, 16",
    // One layer of a block is contiguous.
    "1, 32, CROSS_LAYER_LHN, 1, 32, HND, BRIDGED_REGIONS, 32",
    "1, 32, CROSS_LAYER_LNH, 1, 32, NHD, BRIDGED_REGIONS, 32",
    // One head a rank is ordered either way.
    "4, 32, NHD, 4, 32, HND, BRIDGED_REGIONS, 32",
    // Tokens are outermost.
    "1, 64, NHD, 1, 32, NHD, BRIDGED_REGIONS, 32",
  })
  void bridge_showsTheSameMemoryInOtherWords(
      int sourceTensor,
      int sourceBlock,
      Layout sourceLayout,
      int tensor,
      int block,
      Layout layout,
      Carriage.Way way,
      int shownBlock) {
    LocalEngine prefill = engine("p", spec(sourceTensor, sourceBlock, sourceLayout));
    LocalEngine decode = engine("d", spec(tensor, block, layout));
    KvAgent agent = agent(prefill, decode);
    HandOff handOff = handOff(prefill, 150);

    Carriage carriage = agent.bridge(handOff, reader(decode), LONG).join();

    HandOff told = carriage.handOff();
    assertThat(carriage.way()).isEqualTo(way);
    assertThat(told.requestId()).isEqualTo("cmpl-1");
    assertThat(told.engine().engineId()).isEqualTo("p");
    assertThat(told.engine().port()).isNotEqualTo(prefill.port());
    assertThat(told.blockIds().getFirst()).hasSize(Math.ceilDiv(150, shownBlock));
    DecodeSide side = new DecodeSide(decode);
    assertThat(side.geometry(told).blockSize()).isEqualTo(shownBlock);
    requireEqual(prefill, table(handOff), decode, side.read(told).getFirst(), 150);
    side.notify(told);
    assertThat(prefill.heard).contains("0 cmpl-1:1");
    assertThat(agent.holdings().registeredBytes()).isZero();
  }

  @Test
  void bridge_ofAnEngineThatWasStartedAnewTakesThePlaceOfTheOldOne() {
    LocalEngine prefill = engine("p", spec(1, 32, Layout.HND));
    LocalEngine decode = engine("d", spec(1, 32, Layout.HND));
    KvAgent agent = agent(prefill, decode);
    Carriage first = agent.bridge(handOff(prefill, 100), reader(decode), LONG).join();
    Carriage again = agent.bridge(handOff(prefill, 90), reader(decode), LONG).join();
    assertThat(again.handOff().engine()).isEqualTo(first.handOff().engine());
    assertThat(agent.holdings().virtualEngines()).isEqualTo(1);
  }
}
