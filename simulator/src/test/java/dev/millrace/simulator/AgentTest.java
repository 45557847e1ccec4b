package dev.millrace.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.Axis;
import dev.millrace.layout.AxisName;
import dev.millrace.layout.BlockTable;
import dev.millrace.layout.Layout;
import dev.millrace.layout.Rank;
import dev.millrace.layout.Region;
import dev.millrace.simulator.cache.Sequence;
import dev.millrace.simulator.model.KvFunction;
import dev.millrace.transfer.SharedSecret;
import dev.millrace.transfer.agent.AgentOptions;
import dev.millrace.transfer.agent.AgentTransport;
import dev.millrace.transfer.agent.HeldCopy;
import dev.millrace.transfer.agent.KvAgent;
import dev.millrace.transfer.rpc.AgentClient;
import dev.millrace.transfer.rpc.AgentServer;
import dev.millrace.transfer.rpc.AgentServerOptions;
import dev.millrace.transfer.rpc.Token;
import dev.millrace.transfer.rpc.v1.AfterRead;
import dev.millrace.transfer.rpc.v1.BlockIds;
import dev.millrace.transfer.rpc.v1.Engine;
import dev.millrace.transfer.rpc.v1.ExtendRequest;
import dev.millrace.transfer.rpc.v1.HandOff;
import dev.millrace.transfer.rpc.v1.ReadReply;
import dev.millrace.transfer.rpc.v1.ReadRequest;
import dev.millrace.transfer.rpc.v1.ReleaseRequest;
import dev.millrace.transfer.rpc.v1.Target;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
import dev.millrace.transfer.tcp.TcpTransport;
import dev.millrace.transfer.tcp.TcpTransportOptions;
import io.vertx.core.Future;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The KV agent against a simulated prefill engine, called as a router calls it. */
class AgentTest {
  private static final Duration LONG = Duration.ofSeconds(20);
  private static final Token TOKEN = Token.of("0123456789abcdef");

  @RegisterExtension private final EngineInvariants engines = new EngineInvariants();
  private final ManualClock clock = new ManualClock();
  private final List<AutoCloseable> started = new ArrayList<>();

  /** An agent with its caller. */
  private record Called(KvAgent agent, AgentClient client) {}

  @AfterEach
  void close() throws Exception {
    for (AutoCloseable each : started.reversed()) {
      each.close();
    }
  }

  private static <T> T done(Future<T> future) {
    return future
        .toCompletionStage()
        .toCompletableFuture()
        .orTimeout(LONG.toSeconds(), TimeUnit.SECONDS)
        .join();
  }

  private SimulatedEngine prefill(int tensor, int blockSize, Layout layout) {
    return engines.start(c ->
        c.role(EngineRole.PREFILL)
            .clock(clock)
            .geometry(EngineInvariants.geometry(tensor, blockSize, layout)));
  }

  private Called agentFor(SimulatedEngine engine) {
    AgentOptions.SideChannel channel =
        new AgentOptions.SideChannel(
            "127.0.0.1",
            engine.sideChannelPort(),
            "tiny",
            engine.config().geometry().model(),
            ConnectorVersion.V14,
            Optional.empty());
    SharedSecret secret = ((EngineTransport.Tcp) engine.config().transport()).secret();
    KvAgent agent =
        KvAgent.start(
            new AgentOptions(
                List.of(channel), 8 << 20, 1 << 20, Duration.ofSeconds(60), LONG, LONG, 4),
            AgentTransport.of(TcpTransport.start(TcpTransportOptions.loopback("agent", secret))),
            clock,
            System::nanoTime);
    started.add(agent);
    AgentServer server =
        done(
            AgentServer.start(
                engines.vertx(), agent, new AgentServerOptions("127.0.0.1", 0, TOKEN, "test")));
    started.add(() -> done(server.close()));
    AgentClient client = new AgentClient(engines.vertx(), "127.0.0.1", server.port(), TOKEN);
    started.add(() -> done(client.close()));
    return new Called(agent, client);
  }

  /** What the prefill leg's parameters say. */
  private static HandOff handOff(String params) {
    BlockIds.Builder ids = BlockIds.newBuilder();
    Json.all(params, "remote_block_ids[][]").forEach(id -> ids.addIds(Integer.parseInt(id)));
    return HandOff.newBuilder()
        .setEngine(
            Engine.newBuilder()
                .setEngineId(Json.at(params, "remote_engine_id"))
                .setSideChannelHost(Json.at(params, "remote_host"))
                .setSideChannelPort(Integer.parseInt(Json.at(params, "remote_port")))
                .setTensorParallel(Integer.parseInt(Json.at(params, "tp_size"))))
        .setRequestId(Json.at(params, "remote_request_id"))
        .addGroups(ids)
        .setTokens(Integer.parseInt(Json.at(params, "remote_num_tokens")))
        .build();
  }

  @ParameterizedTest
  @CsvSource({"1, 16, HND, 1, 16, hnd", "2, 16, HND, 1, 32, nhd", "1, 64, NHD, 4, 16, cross-layer"})
  void read_bringsWhatTheModelComputed(
      int tensor, int blockSize, Layout layout, int toTensor, int toBlockSize, String toLayout) {
    SimulatedEngine prefill = prefill(tensor, blockSize, layout);
    Called called = agentFor(prefill);
    String prompt = Legs.prompt(100);
    HandOff handOff = handOff(Legs.prefill(prefill, prompt));
    ReadRequest request =
        ReadRequest.newBuilder()
            .setHandOff(handOff)
            .setTarget(
                Target.newBuilder()
                    .setTensorParallel(toTensor)
                    .setBlockSize(toBlockSize)
                    .setLayout(toLayout))
            .setAfterRead(AfterRead.AFTER_READ_RELEASE)
            .build();

    ReadReply last = done(called.client().read(request, reply -> {}, LONG).outcome());

    assertThat(last.hasDone()).as("%s", last).isTrue();
    EngineInvariants.await(() -> prefill.stats().heldBlocks() == 0);
    assertThat(prefill.stats().releasedHandoffs()).isEqualTo(1);
    HeldCopy copy = called.agent().copy(last.getDone().getCopyId()).orElseThrow();
    int[] tokens = prompt.chars().toArray();
    assertThat(differing(copy, Sequence.prefixes("tiny", tokens))).isEmpty();
  }

  /** Where a copy is not what the model computes, element by element. */
  private static List<String> differing(HeldCopy copy, long[] prefixes) {
    List<String> differing = new ArrayList<>();
    long compared = 0;
    BlockTable table = copy.tables().getFirst();
    int blockSize = copy.geometry().blockSize();
    for (Rank rank : copy.geometry().ranks()) {
      for (Region region : rank.regions().getFirst()) {
        for (int token = 0; token < prefixes.length; token++) {
          long block =
              region.baseAddress() + table.id(token / blockSize) * region.blockStrideBytes();
          long at = block + token % blockSize * region.axis(AxisName.TOKEN).strideBytes();
          for (int layer : indices(region.axis(AxisName.LAYER))) {
            for (int kv : indices(region.axis(AxisName.KV))) {
              for (int head : indices(region.axis(AxisName.HEAD))) {
                long seed = KvFunction.vectorSeed(prefixes[token], layer, kv, head);
                for (int dim : indices(region.axis(AxisName.DIM))) {
                  long address =
                      at
                          + step(region.axis(AxisName.LAYER), layer)
                          + step(region.axis(AxisName.KV), kv)
                          + step(region.axis(AxisName.HEAD), head)
                          + step(region.axis(AxisName.DIM), dim);
                  short is =
                      copy.memory()
                          .get(ValueLayout.JAVA_SHORT_UNALIGNED, address - copy.memory().address());
                  short shouldBe = (short) (KvFunction.word(seed, dim / 4) >>> (dim % 4 * 16));
                  compared++;
                  if (is != shouldBe) {
                    differing.add("token " + token + ", layer " + layer + ", head " + head);
                  }
                }
              }
            }
          }
        }
      }
    }
    assertThat(compared * 2).isEqualTo(prefixes.length * copy.geometry().model().bytesPerToken());
    return differing;
  }

  private static List<Integer> indices(Axis axis) {
    List<Integer> indices = new ArrayList<>();
    for (int i = axis.first(); i < axis.end(); i++) {
      indices.add(i);
    }
    return indices;
  }

  private static long step(Axis axis, int index) {
    return (index - axis.first()) * axis.strideBytes();
  }

  @Test
  void release_withoutARead_freesTheEnginesBlocksAtOnce() {
    SimulatedEngine prefill = prefill(2, 16, Layout.HND);
    Called called = agentFor(prefill);
    HandOff handOff = handOff(Legs.prefill(prefill, Legs.prompt(40)));
    assertThat(prefill.stats().heldBlocks()).isEqualTo(3);

    assertThat(
            done(called
                    .client()
                    .release(ReleaseRequest.newBuilder().setHandOff(handOff).build(), LONG))
                .getRanks())
        .isEqualTo(2);

    EngineInvariants.await(() -> prefill.stats().heldBlocks() == 0);
    assertThat(prefill.stats().releasedHandoffs()).isEqualTo(1);
    assertThat(prefill.stats().expiredHandoffs()).isZero();
  }

  @Test
  void extend_keepsTheEnginesBlocksBeyondTheLease() {
    SimulatedEngine prefill = prefill(2, 16, Layout.HND);
    Called called = agentFor(prefill);
    HandOff kept = handOff(Legs.prefill(prefill, Legs.prompt(40)));
    String forgotten = Legs.prefill(prefill, Legs.prompt(60));
    clock.advance(Duration.ofSeconds(25));

    assertThat(
            done(called.client().extend(ExtendRequest.newBuilder().setHandOff(kept).build(), LONG))
                .getRanks())
        .isEqualTo(2);
    EngineInvariants.await(() -> prefill.stats().heartbeats() == 2);
    clock.advance(Duration.ofSeconds(10));

    // The other one's end shows that leases were looked at.
    EngineInvariants.await(() -> prefill.stats().expiredHandoffs() == 1);
    assertThat(forgotten).contains("remote_block_ids");
    assertThat(prefill.stats().heldBlocks()).isEqualTo(3);
    clock.advance(Duration.ofSeconds(11));
    EngineInvariants.await(() -> prefill.stats().heldBlocks() == 0);
    assertThat(prefill.stats().expiredHandoffs()).isEqualTo(2);
  }

  @Test
  void read_ofAnEngineThatIsGone_fails() {
    SimulatedEngine prefill = prefill(1, 16, Layout.HND);
    Called called = agentFor(prefill);
    HandOff handOff = handOff(Legs.prefill(prefill, Legs.prompt(40)));
    done(prefill.close());

    ReadReply last =
        done(
            called
                .client()
                .read(
                    ReadRequest.newBuilder().setHandOff(handOff).build(),
                    reply -> {},
                    Duration.ofSeconds(2))
                .outcome());

    assertThat(last.hasFailed()).isTrue();
    assertThat(last.getFailed().getMessage())
        .contains(String.valueOf(handOff.getEngine().getSideChannelPort()));
    assertThat(called.agent().holdings().heldBytes()).isZero();
  }
}
