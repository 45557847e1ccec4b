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
import io.vertx.core.json.JsonObject;
import java.net.http.HttpResponse;
import java.util.List;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Requests with several sequences: each prompt is computed once, by a prefill worker. */
final class PrimingTest {
  private static final String LONG = "abcdefgh ".repeat(20);

  @RegisterExtension final Stage stage = new Stage();

  private SimulatedEngine engine(EngineRole role, int tensor, int blockSize) throws Exception {
    GeometrySpec geometry =
        new GeometrySpec(
            ModelShape.dense(3, 4, 16, ElementType.BFLOAT16),
            Parallelism.tensor(tensor),
            blockSize,
            Layout.HND,
            8192 / blockSize);
    return stage.simulated(
        EngineConfig.builder().role(role).model(Stage.MODEL).geometry(geometry).build());
  }

  private static String said(String body) {
    return body.replaceAll("\"created\":\\d+", "\"created\":0")
        .replaceAll("vllm-0.32.0(\\+millrace-sim)?-[0-9a-f]{8}", "fingerprint");
  }

  private JsonObject record() {
    return stage.record("r");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '\0',
      value = {
        "/v1/completions | \"prompt\":\"LONG\",\"n\":3 | 1 | false",
        "/v1/completions | \"prompt\":\"LONG\",\"n\":3 | 1 | true",
        "/v1/completions | \"prompt\":[\"LONG\",\"LONG and other\",\"x LONG\"] | 3 | false",
        "/v1/completions | \"prompt\":[\"LONG\",\"LONG and other\",\"x LONG\"] | 3 | true",
        "/v1/completions | \"n\":2,\"prompt\":[[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20],[9,8,7]] | 2 | false",
        "/v1/chat/completions | \"messages\":[{\"role\":\"user\",\"content\":\"LONG\"}],\"n\":2 | 1 | true",
        "/v1/chat/completions | \"messages\":[{\"role\":\"user\",\"content\":\"LONG\"}],\"n\":2 | 1 | false",
      })
  void answer_isThatOfOneEngineToTheLastByte(
      String path, String members, int prompts, boolean stream) throws Exception {
    SimulatedEngine p = engine(EngineRole.PREFILL, 1, 16);
    SimulatedEngine d = engine(EngineRole.DECODE, 2, 32);
    SimulatedEngine alone = engine(EngineRole.BOTH, 1, 16);
    stage.open(List.of(p.uri()), List.of(d.uri()), UnaryOperator.identity());
    String body =
        "{\"model\":\"tiny\",\"max_tokens\":5,\"stream_options\":{\"include_usage\":true},"
            + members.replace("LONG", LONG)
            + ",\"stream\":"
            + stream
            + "}";
    String expected = stage.post(alone.uri().resolve(path), body, "x-request-id", "r").body();

    HttpResponse<String> answer = stage.post(path, body, "x-request-id", "r");

    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    assertThat(said(answer.body())).isEqualTo(said(expected));
    assertThat(record().getJsonObject("primed"))
        .isEqualTo(new JsonObject().put("prompts", prompts).put("across", prompts));
    Stage.await("P holds no blocks", () -> p.stats().heldBlocks() == 0);
    assertThat(d.stats().bytesTransferred()).isPositive();
    assertThat(d.stats().prefillTokensComputed())
        .as("D computes the part of a block at each prompt's end, for each sequence")
        .isLessThan(96L * prompts);
  }

  @Test
  void promptsThatDoNotGetAcross_areComputedWithTheRequest() throws Exception {
    SimulatedEngine p = engine(EngineRole.PREFILL, 1, 16);
    p.misbehave(new Misbehaviour.Refuse(500));
    SimulatedEngine d = engine(EngineRole.DECODE, 1, 16);
    stage.open(List.of(p.uri()), List.of(d.uri()), UnaryOperator.identity());

    HttpResponse<String> answer =
        stage.post(
            "/v1/completions",
            "{\"model\":\"tiny\",\"prompt\":[\"a\",\"b\"],\"max_tokens\":2}",
            "x-request-id",
            "r");

    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    assertThat(record().getJsonObject("primed"))
        .isEqualTo(new JsonObject().put("prompts", 2).put("across", 0));
  }

  @Test
  void parameters_areNamedOnce() {
    ScriptedEngine p = stage.engine(Scripts.prefill());
    ScriptedEngine d = stage.engine(Scripts.decode());
    stage.open(p, d);

    stage.post(
        "/v1/completions",
        "{\"model\":\"tiny\",\"n\":2,\"prompt\":\"a\",\"stream\":true,\"max_tokens\":9}");

    assertThat(p.requests()).hasSize(1);
    assertThat(p.requests().getFirst().text()).doesNotContain("\"n\"");
    assertThat(d.requests()).hasSize(2);
    assertThat(d.requests().getFirst().text())
        .isEqualTo(
            "{\"model\":\"tiny\",\"prompt\":\"a\",\"stream\":false,\"max_tokens\":1,\"kv_transfer_params\":"
                + Scripts.PARAMETERS
                + ",\"return_token_ids\":true}");
    assertThat(d.requests().getLast().text())
        .isEqualTo(
            "{\"model\":\"tiny\",\"n\":2,\"prompt\":\"a\",\"stream\":true,\"max_tokens\":9}");
  }

  @Test
  void clientThatLeaves_leavesNothingBehind() throws Exception {
    SimulatedEngine p = engine(EngineRole.PREFILL, 1, 16);
    SimulatedEngine d = engine(EngineRole.DECODE, 1, 16);
    d.misbehave(new Misbehaviour.StallBeforeFirstToken());
    stage.open(List.of(p.uri()), List.of(d.uri()), UnaryOperator.identity());
    RawClient client =
        stage
            .raw()
            .send(
                RawClient.post(
                    "/v1/completions",
                    "{\"model\":\"tiny\",\"prompt\":[\"a\",\"b\",\"c\"],\"max_tokens\":2}"));
    Stage.await("D has a leg", () -> d.stats().openRequests() > 0);

    client.reset();

    Stage.await(
        "both engines are at rest",
        () -> p.stats().openRequests() + d.stats().openRequests() + p.stats().heldBlocks() == 0);
  }
}
