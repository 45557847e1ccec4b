package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.CanaryRule;
import dev.millrace.config.Declared;
import dev.millrace.config.OnMismatch;
import dev.millrace.config.Pairing;
import dev.millrace.config.Route;
import dev.millrace.config.WorkerAddress;
import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Parallelism;
import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.EngineRole;
import dev.millrace.simulator.LoadFailure;
import dev.millrace.simulator.Misbehaviour;
import dev.millrace.simulator.SimulatedEngine;
import io.vertx.core.json.JsonObject;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpResponse;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Pairs are judged and tried out before they get requests, and again when something has changed.
 */
final class EdgesTest {
  private static final String COMPLETIONS = "/v1/completions";

  @RegisterExtension final Stage stage = new Stage();

  private SimulatedEngine engine(
      EngineRole role, int tensor, int blockSize, UnaryOperator<EngineConfig.Builder> tuned)
      throws Exception {
    GeometrySpec geometry =
        new GeometrySpec(
            ModelShape.dense(3, 4, 16, ElementType.BFLOAT16),
            Parallelism.tensor(tensor),
            blockSize,
            Layout.HND,
            4096 / blockSize);
    EngineConfig config =
        tuned
            .apply(EngineConfig.builder().role(role).model(Stage.MODEL).geometry(geometry))
            .build();
    return stage.simulated(config);
  }

  private SimulatedEngine prefill(int tensor, int blockSize) throws Exception {
    return engine(EngineRole.PREFILL, tensor, blockSize, UnaryOperator.identity());
  }

  private SimulatedEngine decode(int tensor, int blockSize) throws Exception {
    return engine(EngineRole.DECODE, tensor, blockSize, UnaryOperator.identity());
  }

  private static UnaryOperator<Route> probing(UnaryOperator<Pairing> tuned) {
    return route -> route.withPairing(tuned.apply(Pairing.defaults()));
  }

  private static UnaryOperator<Route> probing() {
    return probing(UnaryOperator.identity());
  }

  private HttpResponse<String> ask() {
    return stage.post(
        COMPLETIONS,
        "{\"model\":\"tiny\",\"prompt\":\"%s\",\"max_tokens\":4}"
            .formatted("abcdefgh ".repeat(12)));
  }

  private JsonObject edge(int index) {
    return new JsonObject(stage.get(stage.adminUrl("/pd/matrix")).body())
        .getJsonArray("routes")
        .getJsonObject(0)
        .getJsonArray("edges")
        .getJsonObject(index);
  }

  private void awaitSettled() throws Exception {
    stage.router().settled().await(20, TimeUnit.SECONDS);
  }

  @Test
  void firstRequest_waitsForTheVerdict() throws Exception {
    SimulatedEngine p = prefill(1, 16);
    SimulatedEngine d = decode(2, 32);
    stage.open(List.of(p.uri()), List.of(d.uri()), probing());

    HttpResponse<String> answer = ask();

    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    assertThat(d.stats().bytesTransferred()).isPositive();
  }

  @Test
  void fittingPair_isTriedOutAndLeavesNothingBehind() throws Exception {
    SimulatedEngine p = prefill(1, 16);
    SimulatedEngine d = decode(2, 32);
    stage.open(List.of(p.uri()), List.of(d.uri()), probing());

    awaitSettled();

    assertThat(edge(0).getString("state")).isEqualTo("usable");
    assertThat(edge(0).getString("way")).isEqualTo("engine");
    assertThat(d.stats().bytesTransferred()).as("the canary's blocks").isPositive();
    Stage.await("P holds no blocks", () -> p.stats().heldBlocks() == 0);
    Stage.await("D holds no blocks", () -> d.stats().heldBlocks() == 0);
    assertThat(p.stats().expiredHandoffs() + d.stats().expiredHandoffs()).isZero();
  }

  @Test
  void pairThatAnswersWrong_isFoundOutBeforeARequest() throws Exception {
    SimulatedEngine p = prefill(1, 16);
    SimulatedEngine d = decode(1, 32);
    d.misbehave(new Misbehaviour.CorruptByte());
    stage.open(List.of(p.uri()), List.of(d.uri()), probing());
    awaitSettled();

    HttpResponse<String> answer = ask();

    assertThat(answer.statusCode()).isEqualTo(503);
    assertThat(answer.body()).contains("no_fitting_pair").contains("is answered wrong");
    assertThat(edge(0).getString("state")).isEqualTo("broken");
  }

  @Test
  void mendedPair_isUsedAgain() throws Exception {
    SimulatedEngine p = prefill(1, 16);
    SimulatedEngine d = decode(1, 32);
    d.misbehave(new Misbehaviour.CorruptByte());
    stage.open(List.of(p.uri()), List.of(d.uri()), probing());
    awaitSettled();

    d.behave();

    Stage.await("the edge is used", () -> edge(0).getString("state").equals("usable"));
    assertThat(ask().statusCode()).isEqualTo(200);
  }

  @Test
  void mismatch_canBeComputedByDecodeAlone() throws Exception {
    SimulatedEngine p = prefill(1, 16);
    SimulatedEngine d = decode(1, 32);
    d.misbehave(new Misbehaviour.CorruptByte());
    stage.open(
        List.of(p.uri()),
        List.of(d.uri()),
        probing(pairing -> pairing.withOnMismatch(OnMismatch.RECOMPUTE)));
    awaitSettled();
    long computed = d.stats().prefillTokensComputed();

    HttpResponse<String> answer = ask();

    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(d.stats().prefillTokensComputed() - computed).isGreaterThanOrEqualTo(100);
  }

  @Test
  void canaryOff_nothingIsTried() throws Exception {
    SimulatedEngine p = prefill(1, 16);
    SimulatedEngine d = decode(1, 32);
    stage.open(
        List.of(p.uri()), List.of(d.uri()), probing(pairing -> pairing.withCanary(CanaryRule.OFF)));

    awaitSettled();

    assertThat(d.stats().bytesTransferred()).isZero();
    assertThat(edge(0).getString("state")).isEqualTo("usable");
  }

  @Test
  void edgeThatFailsThreeTimes_carriesNothingUntilItIsMended() throws Exception {
    SimulatedEngine p = prefill(1, 16);
    SimulatedEngine d = decode(1, 16);
    stage.open(
        List.of(p.uri()),
        List.of(d.uri()),
        route -> probing().apply(route).withRetries(new dev.millrace.config.Retries(0, 0, 10)));
    awaitSettled();
    d.misbehave(new Misbehaviour.ResetBeforeHead());
    for (int i = 0; i < 3; i++) {
      HttpResponse<String> answer = ask();
      assertThat(answer.statusCode()).as(answer.body()).isEqualTo(502);
    }

    assertThat(edge(0).getString("state")).isEqualTo("broken");
    assertThat(ask().statusCode()).isEqualTo(503);

    d.behave();
    Stage.await("the edge is used", () -> edge(0).getString("state").equals("usable"));
    assertThat(ask().statusCode()).isEqualTo(200);
  }

  @Test
  void prefillWorkerRestarted_isNoticedAndNoClientHearsOfIt() throws Exception {
    SimulatedEngine p = prefill(1, 16);
    SimulatedEngine d = decode(1, 16);
    URI url = p.uri();
    stage.open(List.of(url), List.of(d.uri()), probing());
    awaitSettled();
    assertThat(ask().statusCode()).isEqualTo(200);

    p.close().await(10, TimeUnit.SECONDS);
    SimulatedEngine again = engine(EngineRole.PREFILL, 2, 16, c -> c.port(url.getPort()));

    for (int i = 0; i < 10; i++) {
      HttpResponse<String> answer = ask();
      assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    }
    Stage.await("P holds no blocks", () -> again.stats().heldBlocks() == 0);
    assertThat(edge(0).getString("state")).isEqualTo("usable");
  }

  @Test
  void nobodyThere_isSaidAtOnceAndMendedLater() throws Exception {
    SimulatedEngine p = prefill(1, 16);
    try (Socket reserved = new Socket()) {
      reserved.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
      int port = reserved.getLocalPort();
      stage.open(List.of(p.uri()), List.of(URI.create("http://127.0.0.1:" + port)), probing());
      awaitSettled();

      assertThat(ask().body()).contains("no_fitting_pair").contains("does not answer");

      reserved.close();
      engine(EngineRole.DECODE, 1, 16, c -> c.port(port));
    }
    Stage.await("the edge is used", () -> edge(0).getString("state").equals("usable"));
    assertThat(ask().statusCode()).isEqualTo(200);
  }

  /** How the edge between two workers does. */
  private JsonObject edge(SimulatedEngine prefill, SimulatedEngine decode) {
    for (int i = 0; i < 4; i++) {
      JsonObject edge = edge(i);
      if (edge.getString("prefill").equals(prefill.uri().toString())
          && edge.getString("decode").equals(decode.uri().toString())) {
        return edge;
      }
    }
    throw new AssertionError("no such edge");
  }

  @Test
  void oneBadEdgeOfFour_carriesNothingAfterThreeFailuresAndTheOthersGoOn() throws Exception {
    SimulatedEngine p1 = prefill(1, 16);
    SimulatedEngine p2 = prefill(1, 16);
    SimulatedEngine d1 = decode(1, 16);
    SimulatedEngine d2 = decode(1, 16);
    stage.open(
        List.of(p1.uri(), p2.uri()),
        List.of(d1.uri(), d2.uri()),
        route -> probing().apply(route).withRetries(new dev.millrace.config.Retries(0, 0, 10)));
    awaitSettled();
    d1.misbehave(new Misbehaviour.CannotReadFrom(p1.engineId()));

    int failed = 0;
    for (int i = 0; i < 200; i++) {
      failed += ask().statusCode() == 200 ? 0 : 1;
    }

    assertThat(failed).as("clients that heard of it").isEqualTo(3);
    assertThat(edge(p1, d1).getString("state")).isEqualTo("broken");
    assertThat(edge(p1, d1).getLong("failures")).isEqualTo(3);
    long carried = 0;
    for (JsonObject good : List.of(edge(p1, d2), edge(p2, d1), edge(p2, d2))) {
      assertThat(good.getString("state")).as(good.encode()).isEqualTo("usable");
      assertThat(good.getLong("failures")).as(good.encode()).isZero();
      carried += good.getLong("hand_offs");
    }
    assertThat(carried + edge(p1, d1).getLong("hand_offs")).isEqualTo(197);
    assertThat(edge(p1, d2).getLong("hand_offs")).as("P1 goes on with D2").isPositive();
    assertThat(edge(p2, d1).getLong("hand_offs")).as("D1 goes on with P2").isPositive();

    d1.behave();
    Stage.await("the edge is used", () -> edge(p1, d1).getString("state").equals("usable"));
    // Now P1 has no other way.
    d2.misbehave(new Misbehaviour.CannotReadFrom(p1.engineId()));
    long before = edge(p1, d1).getLong("hand_offs");
    int failedAgain = 0;
    for (int i = 0; i < 30; i++) {
      failedAgain += ask().statusCode() == 200 ? 0 : 1;
    }
    assertThat(failedAgain).isLessThanOrEqualTo(3);
    assertThat(edge(p1, d1).getLong("hand_offs")).isGreaterThan(before);
  }

  private static WorkerAddress twoRanks(SimulatedEngine engine) {
    return new WorkerAddress(engine.uri(), Optional.empty(), 2, Declared.nothing(), Map.of());
  }

  /** One rank of a prefill engine cannot be read from; the other one behind its URL can. */
  @Test
  void edges_ofDataParallelRanks_breakOneByOne() throws Exception {
    SimulatedEngine p = engine(EngineRole.PREFILL, 1, 16, c -> c.dataParallel(2));
    SimulatedEngine d = engine(EngineRole.DECODE, 1, 16, c -> c.dataParallel(2));
    stage.open(
        twoRanks(p),
        twoRanks(d),
        route -> probing().apply(route).withRetries(new dev.millrace.config.Retries(0, 0, 10)));
    awaitSettled();
    for (int i = 0; i < 12; i++) {
      assertThat(ask().statusCode()).isEqualTo(200);
    }
    for (int rank = 0; rank < 2; rank++) {
      assertThat(p.stats(rank).prefillTokensComputed()).as("P rank " + rank).isPositive();
      assertThat(d.stats(rank).promptTokensByExternalTransfer()).as("D rank " + rank).isPositive();
    }

    d.misbehave(new Misbehaviour.CannotReadFrom(p.engineIds().get(1)));
    int failed = 0;
    for (int i = 0; i < 40; i++) {
      failed += ask().statusCode() == 200 ? 0 : 1;
    }

    assertThat(failed).as("three for each of two edges").isEqualTo(6);
    for (int i = 0; i < 4; i++) {
      JsonObject edge = edge(i);
      assertThat(edge.getString("state"))
          .as(edge.encode())
          .isEqualTo(edge.getString("prefill").endsWith("#dp1") ? "broken" : "usable");
    }
  }

  @Test
  void anAddress_withMoreRanksThanListed_isNotUsed() throws Exception {
    SimulatedEngine p = engine(EngineRole.PREFILL, 1, 16, c -> c.dataParallel(3));
    SimulatedEngine d = decode(1, 16);
    stage.open(twoRanks(p), WorkerAddress.of(d.uri()), probing());
    awaitSettled();
    assertThat(edge(0).encode()).contains("set data-parallel-size: 3");
    assertThat(ask().statusCode()).isEqualTo(503);
  }

  /** What is said of the transfer of a prompt that nobody has seen. */
  private String outcome(int number) throws Exception {
    Thread.sleep(300);
    HttpResponse<String> answer =
        stage.post(
            COMPLETIONS,
            "{\"model\":\"tiny\",\"prompt\":\"%d%s\",\"max_tokens\":4}"
                .formatted(number, "abcdefgh ".repeat(12)),
            "x-request-id",
            "outcome-" + number);
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    String said = "not asked";
    for (int i = 0; i < 50 && !said.matches("transferred|recomputed"); i++) {
      Thread.sleep(20);
      JsonObject request = stage.record("outcome-" + number);
      said = request.getJsonObject("transfer").getString("outcome");
    }
    return said;
  }

  /** Why a decode engine computes a prompt that was computed for it already. */
  enum Silent {
    /** The way between the two engines is cut. */
    UNREADABLE(true) {
      @Override
      void begin(SimulatedEngine p, SimulatedEngine d) {
        d.misbehave(new Misbehaviour.CannotReadFrom(p.engineId()));
      }
    },
    /** The prefill engine names no blocks. */
    MISSING(true) {
      @Override
      void begin(SimulatedEngine p, SimulatedEngine d) {
        p.misbehave(new Misbehaviour.NameNoBlocks());
      }
    },
    /** The blocks are those of an engine that is gone, and nobody asks who is there now. */
    STALE(false) {
      @Override
      void begin(SimulatedEngine p, SimulatedEngine d) {
        p.misbehave(new Misbehaviour.NameFormerEngine());
      }
    };

    private final boolean probing;

    Silent(boolean probing) {
      this.probing = probing;
    }

    UnaryOperator<Route> route() {
      return probing ? probing() : UnaryOperator.identity();
    }

    abstract void begin(SimulatedEngine p, SimulatedEngine d);
  }

  /**
   * A real vLLM with {@code kv_load_failure_policy: recompute} answers right, with status 200 and
   * without a word, when it could not load the blocks, and so does every vLLM that is handed none.
   */
  @ParameterizedTest
  @EnumSource
  void silentRecompute_isCountedEachTime(Silent silent) throws Exception {
    SimulatedEngine p = prefill(1, 16);
    SimulatedEngine d = engine(EngineRole.DECODE, 1, 16, c -> c.loadFailure(LoadFailure.RECOMPUTE));
    stage.open(List.of(p.uri()), List.of(d.uri()), silent.route());
    awaitSettled();
    int injected = 0;
    // Counters prove something of an exchange that was alone between two looks at them.
    for (int i = 0; i < 10 && !outcome(i).equals("transferred"); i++) {
      Thread.sleep(300);
    }
    for (int i = 0; i < 6; i++) {
      // Every other exchange is one whose blocks arrive: it must not be counted.
      boolean now = i % 2 == 1;
      if (now) {
        silent.begin(p, d);
        injected++;
      }
      assertThat(outcome(100 + i)).isEqualTo(now ? "recomputed" : "transferred");
      p.behave();
      d.behave();
    }
    System.out.printf(
        "%s: %d silent recomputes injected, %d detected%n",
        silent, injected, edge(0).getLong("recomputed"));
    assertThat(edge(0).getLong("recomputed")).isEqualTo(injected);
  }
}
