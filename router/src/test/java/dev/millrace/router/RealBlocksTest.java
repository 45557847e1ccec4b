package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Parallelism;
import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.EngineRole;
import dev.millrace.simulator.Misbehaviour;
import dev.millrace.simulator.SimulatedEngine;
import dev.millrace.simulator.Timing;
import io.vertx.core.json.JsonObject;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.List;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The router before engines that hold real KV bytes, of unequal tensor parallelism and block size:
 * an answer is right only if every byte came across.
 */
final class RealBlocksTest {
  @RegisterExtension final Stage stage = new Stage();

  private SimulatedEngine engine(EngineRole role, int tensor, int blockSize, Timing timing)
      throws Exception {
    GeometrySpec geometry =
        new GeometrySpec(
            ModelShape.dense(3, 4, 16, ElementType.BFLOAT16),
            Parallelism.tensor(tensor),
            blockSize,
            Layout.HND,
            4096 / blockSize);
    EngineConfig config =
        EngineConfig.builder()
            .role(role)
            .model(Stage.MODEL)
            .geometry(geometry)
            .timing(timing)
            .build();
    return stage.simulated(config);
  }

  private static String body(int promptTokens, boolean stream) {
    return "{\"model\":\"tiny\",\"prompt\":\"%s\",\"max_tokens\":12,\"stream\":%s}"
        .formatted("abcdefgh ".repeat(promptTokens).substring(0, promptTokens), stream);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 31, 32, 33, 500})
  void answer_equalsTheAggregatedOne(int promptTokens) throws Exception {
    SimulatedEngine p = engine(EngineRole.PREFILL, 1, 16, Timing.ZERO);
    SimulatedEngine d = engine(EngineRole.DECODE, 2, 32, Timing.ZERO);
    SimulatedEngine alone = engine(EngineRole.BOTH, 1, 16, Timing.ZERO);
    stage.open(List.of(p.uri()), List.of(d.uri()), UnaryOperator.identity());

    String routed = stage.post("/v1/completions", body(promptTokens, false)).body();

    assertThat(text(routed)).isEqualTo(text(aggregated(alone, promptTokens)));
    assertThat(d.stats().bytesTransferred()).isPositive();
    assertThat(d.stats().prefillTokensComputed()).as("D computes one token at most").isLessThan(2);
    Stage.await("P holds no blocks", () -> p.stats().heldBlocks() == 0);
  }

  private String aggregated(SimulatedEngine engine, int promptTokens) {
    return stage
        .send(
            HttpRequest.newBuilder(engine.uri().resolve("/v1/completions"))
                .timeout(Stage.GENEROUS)
                .header("content-type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(body(promptTokens, false)))
                .build())
        .body();
  }

  private static String text(String answer) {
    return new JsonObject(answer).getJsonArray("choices").getJsonObject(0).getString("text");
  }

  @Test
  void clientThatLeavesMidStream_leavesNothingBehind() throws Exception {
    Timing slow = new Timing(0, Duration.ofMillis(50));
    SimulatedEngine p = engine(EngineRole.PREFILL, 1, 16, Timing.ZERO);
    SimulatedEngine d = engine(EngineRole.DECODE, 2, 32, slow);
    stage.open(List.of(p.uri()), List.of(d.uri()), UnaryOperator.identity());
    RawClient client = stage.raw().send(RawClient.post("/v1/completions", body(100, true)));
    client.readUntil("\"text\"");

    client.reset();

    Stage.await(
        "both engines are at rest",
        () -> p.stats().openRequests() + d.stats().openRequests() + p.stats().heldBlocks() == 0);
  }

  @Test
  void failedDecode_releasesTheBlocksLongBeforeTheirLeaseEnds() throws Exception {
    SimulatedEngine p = engine(EngineRole.PREFILL, 1, 16, Timing.ZERO);
    SimulatedEngine d = engine(EngineRole.DECODE, 2, 32, Timing.ZERO);
    d.misbehave(new Misbehaviour.ResetBeforeHead());
    stage.open(List.of(p.uri()), List.of(d.uri()), UnaryOperator.identity());
    HttpResponse<String> answer = stage.post("/v1/completions", body(100, false));
    assertThat(answer.statusCode()).isEqualTo(502);
    // Well behaved again before the release comes, half a second after the reset.
    d.behave();

    Stage.await("P holds no blocks", () -> p.stats().heldBlocks() == 0);
    assertThat(p.stats().expiredHandoffs()).isZero();
  }
}
