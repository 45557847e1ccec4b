package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Complaint;
import dev.millrace.config.Declared;
import dev.millrace.config.HostPort;
import dev.millrace.config.Loaded;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.RoutingTables;
import dev.millrace.config.WorkerAddress;
import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Parallelism;
import dev.millrace.layout.compatibility.Fact;
import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.EngineRole;
import dev.millrace.simulator.Misbehaviour;
import dev.millrace.simulator.SimulatedEngine;
import dev.millrace.simulator.Timing;
import io.vertx.core.json.JsonObject;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** What becomes of blocks that prefill engines hold, with a KV agent and without. */
final class LedgerTest {
  private static final String COMPLETIONS = "/v1/completions";

  @RegisterExtension final Stage stage = new Stage();
  @TempDir Path folder;

  private SimulatedEngine engine(EngineRole role, UnaryOperator<EngineConfig.Builder> tuned)
      throws Exception {
    EngineConfig config =
        tuned
            .apply(EngineConfig.builder().role(role).model(Stage.MODEL).geometry(geometry(16)))
            .build();
    return stage.simulated(config);
  }

  private static GeometrySpec geometry(int blockSize) {
    ModelShape model = ModelShape.dense(3, 4, 16, ElementType.BFLOAT16);
    return new GeometrySpec(model, Parallelism.tensor(1), blockSize, Layout.HND, 256);
  }

  private TestAgent agent(SimulatedEngine... engines) throws Exception {
    return stage.closing(TestAgent.reaching(stage.vertx(), folder, engines));
  }

  private void open(SimulatedEngine p, SimulatedEngine d, TestAgent... agents) throws Exception {
    stage.open(
        List.of(p.uri()),
        List.of(d.uri()),
        UnaryOperator.identity(),
        List.of(agents).stream().map(TestAgent::address).toList());
    if (agents.length > 0) {
      Stage.await("the agent answers", () -> admin("/pd/agents").contains("\"state\":\"up\""));
    }
  }

  private String admin(String path) {
    return stage.get(stage.adminUrl(path)).body();
  }

  private JsonObject handOffs() {
    return new JsonObject(admin("/pd/workers")).getJsonObject("hand_offs");
  }

  private static String body(boolean stream) {
    return "{\"model\":\"tiny\",\"prompt\":\"%s\",\"max_tokens\":4,\"stream\":%s}"
        .formatted("abcdefgh ".repeat(12), stream);
  }

  @Test
  void failedDecode_theAgentReleases() throws Exception {
    SimulatedEngine p = engine(EngineRole.PREFILL, UnaryOperator.identity());
    SimulatedEngine d = engine(EngineRole.DECODE, UnaryOperator.identity());
    open(p, d, agent(p));
    d.misbehave(new Misbehaviour.ResetBeforeHead());

    assertThat(stage.post(COMPLETIONS, body(false)).statusCode()).isEqualTo(502);

    Stage.await("P holds no blocks", () -> p.stats().heldBlocks() == 0);
    Stage.await("the books are closed", () -> handOffs().getInteger("open") == 0);
    assertThat(handOffs().getInteger("released_by_agent")).isPositive();
    assertThat(handOffs().getInteger("released_by_refused_request")).isZero();
    assertThat(p.stats().expiredHandoffs()).isZero();
  }

  @Test
  void agentIsGone_aRefusedRequestReleases() throws Exception {
    SimulatedEngine p = engine(EngineRole.PREFILL, UnaryOperator.identity());
    SimulatedEngine d = engine(EngineRole.DECODE, UnaryOperator.identity());
    TestAgent agent = agent(p);
    open(p, d, agent);
    d.misbehave(new Misbehaviour.ResetBeforeHead());
    agent.close();

    assertThat(stage.post(COMPLETIONS, body(false)).statusCode()).isEqualTo(502);
    d.behave();

    Stage.await("P holds no blocks", () -> p.stats().heldBlocks() == 0);
    Stage.await("the hand-offs have ended", () -> handOffs().getInteger("open") == 0);
    assertThat(handOffs().getInteger("released_by_agent")).isZero();
    assertThat(p.stats().expiredHandoffs()).isZero();
  }

  @Test
  void oneAgentIsGone_anotherReleases() throws Exception {
    SimulatedEngine p = engine(EngineRole.PREFILL, UnaryOperator.identity());
    SimulatedEngine d = engine(EngineRole.DECODE, UnaryOperator.identity());
    TestAgent gone = agent(p);
    open(p, d, gone, agent(p));
    d.misbehave(new Misbehaviour.ResetBeforeHead());
    gone.close();

    assertThat(stage.post(COMPLETIONS, body(false)).statusCode()).isEqualTo(502);

    Stage.await("P holds no blocks", () -> p.stats().heldBlocks() == 0);
    Stage.await("the hand-offs have ended", () -> handOffs().getInteger("open") == 0);
    assertThat(handOffs().getInteger("released_by_agent")).isPositive();
    assertThat(handOffs().getInteger("released_by_refused_request")).isZero();
  }

  @Test
  void whoCouldTellIsBusy_itIsAskedAgain() throws Exception {
    ScriptedEngine p = stage.engine(Scripts.prefill());
    AtomicInteger asked = new AtomicInteger();
    ScriptedEngine d =
        stage.engine((request, wire) -> {
          switch (asked.incrementAndGet()) {
            case 1 -> wire.reset();
            case 2, 3 -> wire.answer(503, Scripts.ERROR_BODY);
            default -> Scripts.decode().play(request, wire);
          }
        });
    stage.open(p, d, 1);

    assertThat(stage.post(COMPLETIONS, body(false)).statusCode()).isEqualTo(502);

    Stage.await("the hand-off has ended", () -> handOffs().getInteger("open") == 0);
    assertThat(asked).hasValue(4);
    assertThat(handOffs().getInteger("released_by_refused_request")).isEqualTo(1);
    assertThat(handOffs().getInteger("expired")).isZero();
  }

  private static RoutingTable table(String yaml) {
    return switch (RoutingTables.parse("table.yaml", yaml)) {
      case Loaded.Valid(RoutingTable table) -> table;
      case Loaded.Invalid(List<Complaint> complaints) ->
          throw new AssertionError(complaints.toString());
    };
  }

  /** A decode engine of other blocks is not let in by P; another engine of P's own kind is. */
  @Test
  void relaysAgentIsGone_anotherPrefillEngineReleases() throws Exception {
    UnaryOperator<EngineConfig.Builder> strict =
        config -> config.pairing(dev.millrace.simulator.Pairing.VLLM);
    SimulatedEngine p = engine(EngineRole.PREFILL, strict);
    SimulatedEngine twin = engine(EngineRole.PREFILL, strict);
    SimulatedEngine d = engine(EngineRole.DECODE, c -> strict.apply(c).geometry(geometry(8)));
    TestAgent agent = agent(p, twin, d);
    RoutingTable table =
        table(
            """
            pools:
              p: {role: prefill, model: tiny, engine: vllm, MODEL, workers: [{url: P}, {url: TWIN}]}
              d: {role: decode, model: tiny, engine: vllm, MODEL, workers: [{url: D}]}
            agents: [{url: AGENT, token-file: TOKEN}]
            routes:
              - {match: {model: tiny}, prefill: {pool: p}, decode: {pool: d}, transfer: auto, canary: off}
            """
                .replace(
                    "MODEL",
                    "model-config: {layers: 3, kv-heads: 4, head-size: 16, dtype: bf16, hidden-layers: 3}")
                .replace("TWIN", twin.uri().toString())
                .replace("url: P}", "url: " + p.uri() + "}")
                .replace("url: D}", "url: " + d.uri() + "}")
                .replace("AGENT", agent.address().url().toString())
                .replace("TOKEN", agent.address().tokenFile().toString()));
    stage.openProbing(
        List.copyOf(table.pools().values()), table.agents(), table.routes().getFirst());
    int before = handOffs().getInteger("released_by_refused_request");
    agent.close();

    HttpResponse<String> answer = stage.post(COMPLETIONS, body(false));

    assertThat(answer.body()).contains("blocks_not_brought");
    Stage.await(
        "neither holds blocks",
        () -> p.stats().heldBlocks() == 0 && twin.stats().heldBlocks() == 0);
    Stage.await("the hand-offs have ended", () -> handOffs().getInteger("open") == 0);
    assertThat(handOffs().getInteger("released_by_refused_request")).isGreaterThan(before);
    assertThat(handOffs().getInteger("expired")).isZero();
  }

  @Test
  void decodeDoesNotAnswer_theAgentKeepsTheBlocksBeyondTheirLease() throws Exception {
    Duration lease = Duration.ofSeconds(3);
    SimulatedEngine p = engine(EngineRole.PREFILL, c -> c.lease(lease));
    ScriptedEngine d =
        stage.engine((request, wire) -> {
          try {
            wire.awaitGone();
          } catch (Exception e) {
            throw new AssertionError(e);
          }
        });
    Declared declared = Declared.nothing().with(Fact.LEASE, lease, "the test");
    stage.open(WorkerAddress.of(p.uri(), Optional.empty(), declared), d.url(), agent(p).address());
    Stage.await("the agent answers", () -> admin("/pd/agents").contains("\"state\":\"up\""));
    RawClient client = stage.raw().send(RawClient.post(COMPLETIONS, body(false)));
    Stage.await("P holds the blocks", () -> p.stats().heldBlocks() > 0);

    Stage.await("it was asked to keep them, three times", () -> p.stats().heartbeats() > 2);
    assertThat(p.stats().heldBlocks()).as("held beyond the first lease").isPositive();

    JsonObject entry =
        new JsonObject(admin("/pd/handoffs")).getJsonArray("handoffs").getJsonObject(0);
    assertThat(entry.getString("prefill")).isEqualTo(p.uri().toString());
    assertThat(entry.getString("decode")).isEqualTo(d.url().toString());
    assertThat(entry.getInteger("blocks")).isEqualTo(7);
    assertThat(entry.getInteger("tokens")).isEqualTo(108);
    client.reset();
    Stage.await("P holds no blocks", () -> p.stats().heldBlocks() == 0);
  }

  @Test
  void clientLeavesJustAsPrefillEnds_theAnswerIsHeardAndItsBlocksAreFreed() throws Exception {
    // P takes 30 ms for the prompt: its answer comes after the client has gone, before the reset.
    SimulatedEngine p = engine(EngineRole.PREFILL, c -> c.timing(new Timing(3600, Duration.ZERO)));
    SimulatedEngine d = engine(EngineRole.DECODE, UnaryOperator.identity());
    open(p, d);
    RawClient client = stage.raw().send(RawClient.post(COMPLETIONS, body(true)));
    Stage.await("P has the prompt", () -> p.stats().openRequests() > 0);

    client.reset();

    Stage.await("P is at rest", () -> p.stats().openRequests() == 0);
    Stage.await("P holds no blocks", () -> p.stats().heldBlocks() == 0);
    assertThat(p.stats().expiredHandoffs()).isZero();
    assertThat(d.stats().bytesTransferred()).isZero();
  }

  @Test
  void foreignSideChannel_isNotHandedOn() {
    ScriptedEngine p = stage.engine(Scripts.prefill());
    ScriptedEngine d = stage.engine(Scripts.decode());
    stage.open(WorkerAddress.of(p.url(), new HostPort("127.0.0.1", 28112)), d.url());

    assertThat(stage.post(COMPLETIONS, Scripts.whole()).statusCode()).isEqualTo(200);

    assertThat(d.requests()).hasSize(1);
    assertThat(d.requests().getFirst().text()).doesNotContain("remote_engine_id");
    assertThat(handOffs().getInteger("unusable")).isEqualTo(1);
  }
}
