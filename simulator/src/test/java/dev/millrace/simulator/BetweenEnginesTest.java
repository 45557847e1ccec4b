package dev.millrace.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.GeometryText;
import dev.millrace.transfer.SharedSecret;
import dev.millrace.transfer.agent.AgentOptions;
import dev.millrace.transfer.agent.AgentTransport;
import dev.millrace.transfer.agent.Carriage;
import dev.millrace.transfer.agent.HandOff;
import dev.millrace.transfer.agent.KvAgent;
import dev.millrace.transfer.agent.ReadEvent;
import dev.millrace.transfer.agent.Reader;
import dev.millrace.transfer.agent.RelayOrder;
import dev.millrace.transfer.agent.RemoteEngine;
import dev.millrace.transfer.agent.ServingOptions;
import dev.millrace.transfer.nixl.Nixl;
import dev.millrace.transfer.nixl.NixlAgentTransport;
import dev.millrace.transfer.nixl.NixlSettings;
import dev.millrace.transfer.nixl.NixlTransport;
import dev.millrace.transfer.nixl.NixlTransportOptions;
import dev.millrace.transfer.nixl.NixlTransportOptions.EngineNotifications;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
import dev.millrace.transfer.tcp.TcpTransport;
import dev.millrace.transfer.tcp.TcpTransportOptions;
import java.net.http.HttpResponse;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * An agent between a prefill and a decode engine that vLLM's rules keep apart, or that it answers
 * wrong from: with it the answer is the one of an engine that does both.
 */
class BetweenEnginesTest {
  private static final Duration LONG = Duration.ofSeconds(20);
  private static final String DENSE = "heads=4,layers=3,head-size=16,";
  private static final String WINDOW = "heads=4,layers=4,head-size=16,window=40,";
  private static final String HYBRID =
      "heads=4,layers=2,head-size=16,state=mamba2:8:4:4:8,state-layers=4,";
  private static final String LATENT = "layers=3,latent=32,";

  @RegisterExtension private final EngineInvariants engines = new EngineInvariants();
  private final List<AutoCloseable> started = new ArrayList<>();

  @AfterEach
  void close() throws Exception {
    for (AutoCloseable each : started.reversed()) {
      each.close();
    }
  }

  private SimulatedEngine engine(
      EngineRole role, EngineTransport transport, int version, String geometry, String path) {
    return engines.start(c ->
        c.role(role)
            .transport(transport)
            .pairing(Pairing.VLLM)
            .release(new VllmRelease(ConnectorVersion.of(version)))
            .modelPath(path)
            .geometry(GeometryText.parse(geometry)));
  }

  private KvAgent agent(SimulatedEngine... between) {
    List<AgentOptions.SideChannel> channels = new ArrayList<>();
    for (SimulatedEngine engine : between) {
      channels.add(
          new AgentOptions.SideChannel(
              "127.0.0.1",
              engine.sideChannelPort(),
              "tiny",
              engine.config().geometry().model(),
              engine.config().release().connector(),
              nixlVersion(engine)));
    }
    AgentOptions options =
        new AgentOptions(channels, 64 << 20, 1 << 20, LONG.multipliedBy(3), LONG, LONG, 4)
            .with(new ServingOptions("127.0.0.1", "127.0.0.1", 0, 0, address -> true, 32 << 20));
    KvAgent agent =
        KvAgent.start(
            options,
            transport(between[0].config().transport()),
            InstantSource.system(),
            System::nanoTime);
    started.add(agent);
    return agent;
  }

  private static Optional<String> nixlVersion(SimulatedEngine engine) {
    return engine.config().transport() instanceof EngineTransport.Nixl
        ? Optional.of(nixl().version())
        : Optional.empty();
  }

  private static AgentTransport transport(EngineTransport of) {
    return switch (of) {
      case EngineTransport.Tcp(var secret) ->
          AgentTransport.of(
              TcpTransport.start(TcpTransportOptions.loopback("agent", secret)),
              () -> TcpTransport.start(TcpTransportOptions.loopback("agent-serving", secret)));
      case EngineTransport.Nixl() -> {
        var nobodys = SharedSecret.random(new SecureRandom());
        yield new NixlAgentTransport(
            NixlTransport.open(nixl(), NixlTransportOptions.named("agent", nobodys)),
            () ->
                NixlTransport.open(
                    nixl(),
                    NixlTransportOptions.named("agent-serving", nobodys)
                        .with(EngineNotifications.DELIVERED)));
      }
    };
  }

  private static Nixl.Present nixl() {
    return (Nixl.Present) Nixl.load(NixlSettings.DEFAULT);
  }

  private static Reader reader(SimulatedEngine decode) {
    return new Reader(
        Optional.empty(),
        "127.0.0.1",
        decode.sideChannelPort(),
        decode.config().geometry().parallelism().tensor());
  }

  private static HandOff handOff(String params, int groups, int tokens) {
    List<List<Integer>> ids =
        Arrays.stream(Json.raw(params, "remote_block_ids").replaceAll("[\\s\\[]", "").split("]"))
            .limit(groups)
            .map(group -> group.startsWith(",") ? group.substring(1) : group)
            .map(group -> Arrays.stream(group.split(",")).map(Integer::parseInt).toList())
            .toList();
    return new HandOff(
        new RemoteEngine(
            Json.at(params, "remote_engine_id"),
            Json.at(params, "remote_host"),
            Integer.parseInt(Json.at(params, "remote_port")),
            Integer.parseInt(Json.at(params, "tp_size")),
            1),
        Json.at(params, "remote_request_id"),
        ids,
        tokens);
  }

  private static String params(HandOff told) {
    return ("{\"do_remote_prefill\":true,\"do_remote_decode\":false,\"remote_engine_id\":\"%s\","
            + "\"remote_request_id\":\"%s\",\"remote_host\":\"%s\",\"remote_port\":%d,"
            + "\"tp_size\":%d,\"remote_num_tokens\":%d,\"remote_block_ids\":%s}")
        .formatted(
            told.engine().engineId(),
            told.requestId(),
            told.engine().host(),
            told.engine().port(),
            told.engine().tensorParallel(),
            told.tokens(),
            told.blockIds());
  }

  private static Carriage relay(KvAgent agent, HandOff handOff, SimulatedEngine decode) {
    CompletableFuture<ReadEvent> last = new CompletableFuture<>();
    var _ =
        agent.relay(
            new RelayOrder(handOff, reader(decode), Optional.empty(), 0, LONG),
            event -> {
              if (event instanceof ReadEvent.Done || event instanceof ReadEvent.Failed) {
                last.complete(event);
              }
            });
    ReadEvent end = last.orTimeout(30, TimeUnit.SECONDS).join();
    assertThat(end).as("%s", end).isInstanceOf(ReadEvent.Done.class);
    return ((ReadEvent.Done) end).carriage().orElseThrow();
  }

  private static String model(String name) {
    return switch (name) {
      case "dense" -> DENSE;
      case "window" -> WINDOW;
      case "hybrid" -> HYBRID;
      case "latent" -> LATENT;
      default -> throw new IllegalArgumentException(name);
    };
  }

  /** The pair, refused directly, and right through the agent; twice, so that D has a prefix. */
  private void requireRight(
      EngineTransport transport,
      String way,
      int version,
      String model,
      String prefillText,
      String decodeText) {
    String shape = model(model);
    SimulatedEngine prefill =
        engine(EngineRole.PREFILL, transport, version, shape + prefillText, "models/one");
    SimulatedEngine decode =
        engine(EngineRole.DECODE, transport, version, shape + decodeText, "models/other");
    SimulatedEngine one = engines.start(c -> c.geometry(GeometryText.parse(shape + "block=8")));
    KvAgent agent = agent(prefill, decode);
    int groups = prefill.config().geometry().model().groups().size();

    // Its parameters are answered with a failure, and its blocks expire by themselves, so that
    // an agent releases them here.
    String refused = Legs.prefill(prefill, "x" + Legs.prompt(20));
    assertThat(Legs.decode(decode, "x" + Legs.prompt(20), 2, refused).statusCode()).isEqualTo(500);
    KvAgent.Released _ =
        agent
            .release(handOff(refused, 0, 0), Set.of(KvAgent.Holder.ENGINE), Optional.empty())
            .join();

    for (int tokens : new int[] {1, 15, 33, 64, 150, 151}) {
      String prompt = Legs.prompt(tokens);
      String said = Legs.prefill(prefill, prompt);
      HandOff handOff =
          handOff(
              said,
              groups,
              said.contains("remote_num_tokens")
                  ? Integer.parseInt(Json.at(said, "remote_num_tokens"))
                  : tokens);
      Carriage carriage =
          way.equals("bridge")
              ? agent.bridge(handOff, reader(decode), LONG).join()
              : relay(agent, handOff, decode);
      HttpResponse<String> answer = Legs.decode(decode, prompt, 20, params(carriage.handOff()));
      assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
      assertThat(Legs.text(answer))
          .as("%d tokens by %s", tokens, carriage.way())
          .isEqualTo(Legs.aggregated(one, prompt, 20));
    }
    // Of a state the last token is computed: it must not be a state too far (vLLM v0.32).
    assertThat(decode.stats().prefillTokensComputed()).isEqualTo(model.equals("hybrid") ? 6 : 0);
    EngineInvariants.await(() -> agent.holdings().copies() == 0);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          relay  | 14 | dense  | tp=1,block=64              | tp=1,block=32
          relay  | 14 | dense  | tp=1,block=32              | tp=1,block=48
          relay  | 14 | dense  | tp=1,block=16,layout=hnd   | tp=1,block=16,layout=nhd
          relay  | 14 | dense  | tp=1,block=64              | tp=2,block=32
          relay  | 14 | dense  | tp=2,block=32              | tp=1,block=64
          relay  | 14 | dense  | tp=4,block=16,layout=nhd   | tp=2,block=64,layout=hnd
          relay  | 14 | dense  | tp=1,block=32              | tp=2,block=32,layout=cross-layer
          relay  | 14 | dense  | tp=1,block=16,layout=cross-layer | tp=1,block=16
          relay  | 14 | dense  | tp=1,block=16,layout=cpu   | tp=1,block=32,layout=hnd
          relay  | 14 | dense  | tp=1,block=32              | tp=2,block=16,layout=cpu
          relay  | 2  | dense  | tp=1,block=16              | tp=1,block=16,layout=cross-layer
          relay  | 5  | dense  | tp=2,block=32              | tp=1,block=16
          relay  | 14 | window | tp=1,block=16              | tp=2,block=32
          relay  | 14 | window | tp=2,block=32,layout=nhd   | tp=1,block=16
          relay  | 14 | hybrid | tp=1,block=16              | tp=4,block=16
          relay  | 14 | hybrid | tp=4,block=32              | tp=2,block=16,layout=nhd
          relay  | 14 | latent | tp=1,block=64              | tp=2,block=16
          bridge | 14 | dense  | tp=1,block=16              | tp=1,block=16
          bridge | 14 | dense  | tp=2,block=16              | tp=4,block=32
          bridge | 14 | dense  | tp=1,block=64,layout=nhd   | tp=1,block=32,layout=nhd
          bridge | 14 | dense  | tp=1,block=16,layout=cross-layer-lhn | tp=1,block=16
          """)
  void overTcp(String way, int version, String model, String prefill, String decode) {
    requireRight(EngineTransport.tcp(), way, version, model, prefill, decode);
  }

  @ParameterizedTest
  @ExtendWith(NixlTest.WhereInstalled.class)
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          relay  | 14 | dense  | tp=1,block=64              | tp=2,block=32
          relay  | 14 | dense  | tp=2,block=32              | tp=1,block=64,layout=nhd
          relay  | 14 | window | tp=1,block=16              | tp=2,block=32
          bridge | 14 | dense  | tp=1,block=16,layout=cross-layer-lhn | tp=1,block=16
          """)
  void overNixl(String way, int version, String model, String prefill, String decode) {
    requireRight(new EngineTransport.Nixl(), way, version, model, prefill, decode);
  }
}
