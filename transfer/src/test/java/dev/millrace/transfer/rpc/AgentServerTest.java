package dev.millrace.transfer.rpc;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Parallelism;
import dev.millrace.transfer.agent.AgentOptions;
import dev.millrace.transfer.agent.AgentTransport;
import dev.millrace.transfer.agent.KvAgent;
import dev.millrace.transfer.agent.LocalEngine;
import dev.millrace.transfer.agent.StalledPeer;
import dev.millrace.transfer.rpc.v1.BlockIds;
import dev.millrace.transfer.rpc.v1.DescribeReply;
import dev.millrace.transfer.rpc.v1.Engine;
import dev.millrace.transfer.rpc.v1.ExtendReply;
import dev.millrace.transfer.rpc.v1.ExtendRequest;
import dev.millrace.transfer.rpc.v1.HandOff;
import dev.millrace.transfer.rpc.v1.MeasureReply;
import dev.millrace.transfer.rpc.v1.MeasureRequest;
import dev.millrace.transfer.rpc.v1.ReadReply;
import dev.millrace.transfer.rpc.v1.ReadRequest;
import dev.millrace.transfer.rpc.v1.Reason;
import dev.millrace.transfer.rpc.v1.ReleaseReply;
import dev.millrace.transfer.rpc.v1.ReleaseRequest;
import dev.millrace.transfer.rpc.v1.Target;
import dev.millrace.transfer.tcp.TcpTransport;
import dev.millrace.transfer.tcp.TcpTransportOptions;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpVersion;
import io.vertx.core.net.SocketAddress;
import io.vertx.grpc.client.GrpcClient;
import io.vertx.grpc.client.GrpcClientOptions;
import io.vertx.grpc.common.GrpcMessageDecoder;
import io.vertx.grpc.common.GrpcMessageEncoder;
import io.vertx.grpc.common.GrpcStatus;
import io.vertx.grpc.common.ServiceMethod;
import io.vertx.grpc.common.ServiceName;
import io.vertx.grpc.health.v1.HealthCheckRequest;
import io.vertx.grpc.health.v1.HealthCheckResponse;
import io.vertx.grpc.reflection.v1.ServerReflectionRequest;
import io.vertx.grpc.reflection.v1.ServerReflectionResponse;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class AgentServerTest {
  private static final Token TOKEN = Token.of("0123456789abcdef");
  private static final Duration LONG = Duration.ofSeconds(20);
  private static final GeometrySpec SPEC =
      new GeometrySpec(
          ModelShape.dense(3, 4, 16, ElementType.BFLOAT16),
          Parallelism.tensor(2),
          16,
          Layout.HND,
          256);

  private final List<AutoCloseable> started = new ArrayList<>();
  private Vertx vertx = Vertx.vertx();

  @BeforeEach
  void open() {
    vertx = Vertx.vertx();
    started.add(() -> done(vertx.close()));
  }

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

  private static AgentCallFailed failure(Future<?> future) {
    try {
      Object result = done(future);
      throw new AssertionError("answered " + result);
    } catch (CompletionException e) {
      if (e.getCause() instanceof AgentCallFailed failed) {
        return failed;
      }
      throw e;
    }
  }

  private LocalEngine engine(UnaryOperator<byte[]> described) {
    LocalEngine engine = new LocalEngine("engine-1", SPEC, described);
    started.add(engine);
    return engine;
  }

  private LocalEngine engine() {
    return engine(UnaryOperator.identity());
  }

  private KvAgent agent(AgentOptions.SideChannel... listed) {
    KvAgent agent =
        KvAgent.start(
            new AgentOptions(
                List.of(listed),
                8 << 20,
                1 << 20,
                Duration.ofSeconds(60),
                Duration.ofSeconds(30),
                Duration.ofSeconds(5),
                4),
            AgentTransport.of(
                TcpTransport.start(TcpTransportOptions.loopback("agent", LocalEngine.SECRET))),
            InstantSource.system(),
            System::nanoTime);
    started.add(agent);
    return agent;
  }

  private AgentServer server(KvAgent agent) {
    AgentServer server =
        done(
            AgentServer.start(
                vertx, agent, new AgentServerOptions("127.0.0.1", 0, TOKEN, "1.2.3")));
    started.add(() -> done(server.close()));
    return server;
  }

  private AgentClient client(int port, Token token) {
    AgentClient client = new AgentClient(vertx, "127.0.0.1", port, token);
    started.add(() -> done(client.close()));
    return client;
  }

  private AgentClient client(KvAgent agent) {
    return client(server(agent).port(), TOKEN);
  }

  private static HandOff handOff(LocalEngine engine, String requestId) {
    return HandOff.newBuilder()
        .setEngine(remote(engine))
        .setRequestId(requestId)
        .addGroups(BlockIds.newBuilder().addIds(7).addIds(3).addIds(250))
        .setTokens(40)
        .build();
  }

  private static Engine remote(LocalEngine engine) {
    return Engine.newBuilder()
        .setEngineId(engine.id)
        .setSideChannelHost("127.0.0.1")
        .setSideChannelPort(engine.port())
        .setTensorParallel(2)
        .build();
  }

  private static ReadRequest readOf(LocalEngine engine) {
    return ReadRequest.newBuilder().setHandOff(handOff(engine, "cmpl-1")).build();
  }

  @Test
  void read_tellsItsProgressAndIsHeldUntilReleased() {
    LocalEngine engine = engine();
    AgentClient client = client(agent(engine.listing()));
    List<ReadReply> said = new CopyOnWriteArrayList<>();
    ReadRequest request =
        readOf(engine).toBuilder()
            .setTarget(Target.newBuilder().setTensorParallel(1).setBlockSize(32))
            .build();

    ReadReply last = done(client.read(request, said::add, LONG).outcome());

    assertThat(last.getDone().getBytes()).isPositive();
    assertThat(last.getDone().getRuns()).isPositive();
    assertThat(last.getDone().getExpiresInMillis()).isEqualTo(60_000);
    assertThat(said)
        .extracting(ReadReply::getEventCase)
        .containsExactly(
            ReadReply.EventCase.HANDSHAKEN,
            ReadReply.EventCase.POSTED,
            ReadReply.EventCase.PROGRESS);
    assertThat(said.getFirst().getHandshaken().getGeometry())
        .isEqualTo("tp=2,pp=1,block=16,layout=hnd,dtype=bf16");
    assertThat(said.get(1).getPosted().getSourceRanks()).isEqualTo(2);
    DescribeReply held = done(client.describe(LONG));
    assertThat(held.getHeldCopies()).isEqualTo(1);
    ReleaseReply released =
        done(
            client.release(
                ReleaseRequest.newBuilder().setHandOff(handOff(engine, "cmpl-1")).build(), LONG));
    assertThat(released.getRanks()).isEqualTo(2);
    assertThat(released.getCopies()).isEqualTo(1);
    assertThat(released.getFreedBytes()).isEqualTo(held.getHeldBytes());
    assertThat(engine.heard).containsExactlyInAnyOrder("0 cmpl-1:1", "1 cmpl-1:1");
  }

  @Test
  void extend_reachesAllRanks() {
    LocalEngine engine = engine();
    AgentClient client = client(agent(engine.listing()));
    ExtendReply extended =
        done(
            client.extend(
                ExtendRequest.newBuilder().setHandOff(handOff(engine, "cmpl-1")).build(), LONG));
    assertThat(extended.getRanks()).isEqualTo(2);
    assertThat(engine.heard).containsExactlyInAnyOrder("0 HB:cmpl-1", "1 HB:cmpl-1");
  }

  @Test
  void measure_givesFigures() {
    LocalEngine engine = engine();
    AgentClient client = client(agent(engine.listing()));
    MeasureReply measured =
        done(client.measure(MeasureRequest.newBuilder().setEngine(remote(engine)).build(), LONG));
    assertThat(measured.getTransport()).isEqualTo("tcp");
    assertThat(measured.getBytesPerSecond()).isPositive();
    assertThat(measured.getProbeBytes()).isPositive();
  }

  @Test
  void describe_saysWhatTheAgentIs() {
    LocalEngine engine = engine();
    DescribeReply described = done(client(agent(engine.listing())).describe(LONG));
    assertThat(described.getVersion()).isEqualTo("1.2.3");
    assertThat(described.getTransport()).isEqualTo("tcp");
    assertThat(described.getMemoryBudgetBytes()).isEqualTo(8 << 20);
    assertThat(described.getSideChannels(0).getPort()).isEqualTo(engine.port());
    assertThat(described.getSideChannels(0).getConnectorVersion()).isEqualTo(14);
  }

  @Test
  void token_thatIsWrong_isRefused() {
    int port = server(agent()).port();
    AgentClient stranger = client(port, Token.of("0123456789abcdeF"));
    assertThat(failure(stranger.describe(LONG)).status()).isEqualTo(GrpcStatus.UNAUTHENTICATED);
    assertThat(
            failure(stranger.read(ReadRequest.getDefaultInstance(), reply -> {}, LONG).outcome())
                .status())
        .isEqualTo(GrpcStatus.UNAUTHENTICATED);
  }

  @Test
  void token_thatIsTooShort_isRefused() {
    assertThatThrownBy(() -> Token.of("short"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("openssl");
  }

  @Test
  void sideChannel_thatIsNotListed_isRefused() {
    LocalEngine engine = engine();
    AgentClient client = client(agent());
    AgentCallFailed failed =
        failure(
            client.release(
                ReleaseRequest.newBuilder().setHandOff(handOff(engine, "cmpl-1")).build(), LONG));
    assertThat(failed.status()).isEqualTo(GrpcStatus.PERMISSION_DENIED);
    assertThat(failed).hasMessageContaining("127.0.0.1:" + engine.port());
    ReadReply last = done(client.read(readOf(engine), reply -> {}, LONG).outcome());
    assertThat(last.getFailed().getReason()).isEqualTo(Reason.REASON_NOT_ALLOWED);
  }

  @Test
  void request_thatCannotBe_isRefusedBeforeItIsTaken() {
    AgentClient client = client(agent());
    assertThat(
            failure(client.read(ReadRequest.getDefaultInstance(), reply -> {}, LONG).outcome())
                .status())
        .isEqualTo(GrpcStatus.INVALID_ARGUMENT);
  }

  @Test
  void deadline_ofAStalledEngine_isSaidByTheAgent() throws Exception {
    try (StalledPeer stalled = new StalledPeer()) {
      LocalEngine engine = engine(description -> stalled.instead());
      AgentClient client = client(agent(engine.listing()));
      ReadReply last =
          done(client.read(readOf(engine), reply -> {}, Duration.ofMillis(300)).outcome());
      assertThat(last.getFailed().getReason())
          .isIn(Reason.REASON_DEADLINE, Reason.REASON_PEER_LOST);
      assertThat(last.getFailed().getBytes()).isZero();
    }
  }

  @Test
  void read_thatTheCallerCancels_endsAtTheAgent() throws Exception {
    try (StalledPeer stalled = new StalledPeer()) {
      LocalEngine engine = engine(description -> stalled.instead());
      KvAgent agent = agent(engine.listing());
      CountDownLatch posted = new CountDownLatch(1);
      AgentClient.Transfer<ReadReply> reading =
          client(agent)
              .read(
                  readOf(engine),
                  reply -> {
                    if (reply.hasPosted()) {
                      posted.countDown();
                    }
                  },
                  LONG);
      assertThat(posted.await(20, TimeUnit.SECONDS)).isTrue();

      reading.cancel();

      assertThat(failure(reading.outcome()).status()).isEqualTo(GrpcStatus.CANCELLED);
      long start = System.nanoTime();
      while (agent.holdings().openReads() > 0) {
        // Much less than the read's own deadline.
        assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(LONG.dividedBy(2));
        Thread.sleep(2);
      }
      assertThat(agent.holdings().copies()).isZero();
    }
  }

  /** More of them than a connection has places for, and than a server takes for harmless. */
  @Test
  void callsGivenUpBeforeTheyWereSent_leaveTheirPlacesToOthers() {
    LocalEngine engine = engine();
    AgentClient client = client(agent(engine.listing()));
    DescribeReply _ = done(client.describe(LONG));

    for (int i = 0; i < 1000; i++) {
      client.read(readOf(engine), reply -> {}, LONG).cancel();
    }

    assertThat(done(client.describe(LONG)).getVersion()).isEqualTo("1.2.3");
  }

  @Test
  void callsWhoseTimeIsUpBeforeTheyWereSent_leaveTheirPlacesToOthers() {
    LocalEngine engine = engine();
    AgentClient client = client(agent(engine.listing()));
    DescribeReply _ = done(client.describe(LONG));
    List<Future<DescribeReply>> hasty = new ArrayList<>();

    for (int i = 0; i < 1000; i++) {
      hasty.add(client.describe(Duration.ofMillis(1)));
    }
    Future<?> _ = done(Future.join(hasty).otherwiseEmpty().map(all -> Future.succeededFuture()));

    assertThat(done(client.describe(LONG)).getVersion()).isEqualTo("1.2.3");
  }

  @Test
  void read_whoseCallerVanishes_endsAtTheAgent() throws Exception {
    try (StalledPeer stalled = new StalledPeer()) {
      LocalEngine engine = engine(description -> stalled.instead());
      KvAgent agent = agent(engine.listing());
      CountDownLatch posted = new CountDownLatch(1);
      AgentClient client = new AgentClient(vertx, "127.0.0.1", server(agent).port(), TOKEN);
      AgentClient.Transfer<ReadReply> reading =
          client.read(
              readOf(engine),
              reply -> {
                if (reply.hasPosted()) {
                  posted.countDown();
                }
              },
              LONG);
      assertThat(posted.await(20, TimeUnit.SECONDS)).isTrue();

      done(client.close());

      assertThat(failure(reading.outcome()).status()).isNotNull();
      long start = System.nanoTime();
      while (agent.holdings().openReads() > 0) {
        assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(LONG.dividedBy(2));
        Thread.sleep(2);
      }
    }
  }

  @Test
  void agent_thatDoesNotRun_isUnavailable() {
    AgentServer server = server(agent());
    int port = server.port();
    done(server.close());
    assertThat(failure(client(port, TOKEN).describe(LONG)).status())
        .isEqualTo(GrpcStatus.UNAVAILABLE);
  }

  @Test
  void health_answersAnybody() {
    GrpcClient anybody = anybody();
    ServiceMethod<HealthCheckResponse, HealthCheckRequest> check =
        ServiceMethod.client(
            ServiceName.create("grpc.health.v1.Health"),
            "Check",
            GrpcMessageEncoder.encoder(),
            GrpcMessageDecoder.decoder(HealthCheckResponse.getDefaultInstance()));
    HealthCheckResponse health =
        done(
            anybody
                .request(
                    SocketAddress.inetSocketAddress(server(agent()).port(), "127.0.0.1"), check)
                .compose(call ->
                    call.send(
                        HealthCheckRequest.newBuilder()
                            .setService("millrace.transfer.v1.KvTransfer")
                            .build()))
                .compose(response -> response.last()));
    assertThat(health.getStatus()).isEqualTo(HealthCheckResponse.ServingStatus.SERVING);
  }

  @Test
  void reflection_listsTheService() {
    ServiceMethod<ServerReflectionResponse, ServerReflectionRequest> info =
        ServiceMethod.client(
            ServiceName.create("grpc.reflection.v1.ServerReflection"),
            "ServerReflectionInfo",
            GrpcMessageEncoder.encoder(),
            GrpcMessageDecoder.decoder(ServerReflectionResponse.getDefaultInstance()));
    ServerReflectionResponse listed =
        done(
            anybody()
                .request(SocketAddress.inetSocketAddress(server(agent()).port(), "127.0.0.1"), info)
                .compose(call -> {
                  call.headers().set("authorization", TOKEN.header());
                  return call.send(
                      ServerReflectionRequest.newBuilder().setListServices("*").build());
                })
                .compose(response -> response.last()));
    assertThat(listed.getListServicesResponse().getServiceList())
        .extracting(service -> service.getName())
        .contains("millrace.transfer.v1.KvTransfer", "grpc.health.v1.Health");
  }

  private GrpcClient anybody() {
    GrpcClient client =
        GrpcClient.client(
            vertx,
            new GrpcClientOptions(),
            new HttpClientOptions()
                .setProtocolVersion(HttpVersion.HTTP_2)
                .setHttp2ClearTextUpgrade(false));
    started.add(() -> done(client.close()));
    return client;
  }
}
