package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Parallelism;
import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.EngineRole;
import dev.millrace.simulator.SimulatedEngine;
import dev.millrace.simulator.VllmRelease;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
import io.vertx.core.json.JsonObject;
import java.net.http.HttpResponse;
import java.util.List;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What is asked of the prompt itself. A simulated decode engine ends, as real ones did, when it is
 * asked for log probabilities of a prompt that it has loaded.
 */
final class AboutPromptTest {
  @RegisterExtension final Stage stage = new Stage();

  private SimulatedEngine engine(EngineRole role, int blockSize, VllmRelease release)
      throws Exception {
    GeometrySpec geometry =
        new GeometrySpec(
            ModelShape.dense(3, 4, 16, ElementType.BFLOAT16),
            Parallelism.tensor(1),
            blockSize,
            Layout.HND,
            2048 / blockSize);
    return stage.simulated(
        EngineConfig.builder()
            .role(role)
            .model(Stage.MODEL)
            .geometry(geometry)
            .release(release)
            .build());
  }

  private static String said(String body) {
    return body.replaceAll("\"created\":\\d+", "\"created\":0")
        .replaceAll("vllm-0.32.0(\\+millrace-sim)?-[0-9a-f]{8}", "fingerprint");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '\0',
      value = {
        "/v1/completions | \"prompt\":\"Hello, world, hello.\",\"prompt_logprobs\":2 | true",
        "/v1/completions | \"prompt\":\"Hello \\\"world\\\"\",\"echo\":true | true",
        "/v1/completions | \"prompt\":\"Hello\",\"echo\":true,\"logprobs\":2 | true",
        "/v1/completions | \"echo\":true,\"logprobs\":0,\"prompt_logprobs\":1,\"prompt\":[72,101,300,108] | true",
        "/v1/completions | \"prompt\":\"Hello\",\"echo\":true,\"return_token_ids\":true | true",
        "/v1/chat/completions | \"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"prompt_logprobs\":1 | true",
        "/v1/completions | \"prompt\":\"Hello\",\"echo\":true,\"max_tokens\":0 | false",
        "/v1/completions | \"prompt\":[\"a\",\"b\"],\"echo\":true,\"logprobs\":1 | false",
      })
  void answer_isThatOfOneEngineToTheLastByte(String path, String members, boolean disaggregated)
      throws Exception {
    SimulatedEngine p = engine(EngineRole.PREFILL, 16, VllmRelease.RECORDED);
    SimulatedEngine d = engine(EngineRole.DECODE, 32, VllmRelease.RECORDED);
    SimulatedEngine alone = engine(EngineRole.BOTH, 16, VllmRelease.RECORDED);
    stage.open(List.of(p.uri()), List.of(d.uri()), UnaryOperator.identity());
    String body =
        "{\"model\":\"tiny\","
            + members
            + (members.contains("max_tokens") ? "}" : ",\"max_tokens\":4}");
    String expected = stage.post(alone.uri().resolve(path), body, "x-request-id", "r").body();

    HttpResponse<String> answer = stage.post(path, body, "x-request-id", "r");

    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    assertThat(said(answer.body())).isEqualTo(said(expected));
    JsonObject record = stage.record("r");
    assertThat(record.getValue("bypass") == null).isEqualTo(disaggregated);
    assertThat(d.stats().bytesTransferred() > 0).isEqualTo(disaggregated);
    Stage.await("P holds no blocks", () -> p.stats().heldBlocks() == 0);
  }

  @Test
  void streamWithEcho_isForOneWorker() throws Exception {
    SimulatedEngine p = engine(EngineRole.PREFILL, 16, VllmRelease.RECORDED);
    SimulatedEngine d = engine(EngineRole.DECODE, 16, VllmRelease.RECORDED);
    stage.open(List.of(p.uri()), List.of(d.uri()), UnaryOperator.identity());

    stage.post(
        "/v1/completions",
        "{\"model\":\"tiny\",\"prompt\":\"a\",\"echo\":true,\"stream\":true}",
        "x-request-id",
        "r");

    assertThat(stage.record("r").encode())
        .contains("\"bypass\":\"prompt_logprobs or echo of a stream, or of several sequences\"");
  }

  @Test
  void prefillThatSaysNothingOfThePrompt_leavesItToDecode() {
    ScriptedEngine p =
        stage.engine((request, wire) ->
            wire.answer(200, "{\"choices\":[],\"kv_transfer_params\":" + Scripts.PARAMETERS + "}"));
    ScriptedEngine d = stage.engine(Scripts.decode());
    stage.open(p, d);

    stage.post("/v1/completions", "{\"model\":\"tiny\",\"prompt\":\"a\",\"echo\":true}");

    assertThat(d.requests().stream().map(ScriptedEngine.Request::text))
        .contains("{\"model\":\"tiny\",\"prompt\":\"a\",\"echo\":true}");
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void oldPrefill_isNotToldWhatEndsAnAnswer(boolean old) throws Exception {
    VllmRelease release = old ? new VllmRelease(ConnectorVersion.V2) : VllmRelease.RECORDED;
    SimulatedEngine p = engine(EngineRole.PREFILL, 16, release);
    SimulatedEngine d = engine(EngineRole.DECODE, 16, release);
    SimulatedEngine alone = engine(EngineRole.BOTH, 16, release);
    String body = "{\"model\":\"tiny\",\"prompt\":\"Hello\",\"max_tokens\":4}";
    String first =
        new JsonObject(
                stage
                    .post(alone.uri().resolve("/v1/completions"), body, "x-request-id", "r")
                    .body())
            .getJsonArray("choices")
            .getJsonObject(0)
            .getString("text")
            .substring(0, 3);
    stage.openProbing(
        List.of(
            dev.millrace.config.Pool.of(
                "p",
                dev.millrace.config.Role.PREFILL,
                Stage.MODEL,
                dev.millrace.config.EngineKind.MILLRACE_SIM,
                List.of(dev.millrace.config.WorkerAddress.of(p.uri()))),
            dev.millrace.config.Pool.of(
                "d",
                dev.millrace.config.Role.DECODE,
                Stage.MODEL,
                dev.millrace.config.EngineKind.MILLRACE_SIM,
                List.of(dev.millrace.config.WorkerAddress.of(d.uri())))),
        dev.millrace.config.Route.of(
                Stage.MODEL,
                dev.millrace.config.Stage.roundRobin("p"),
                dev.millrace.config.Stage.roundRobin("d"))
            .withPairing(
                dev.millrace.config.Pairing.defaults()
                    .withCanary(dev.millrace.config.CanaryRule.OFF)));
    long before = d.stats().bytesTransferred();

    HttpResponse<String> answer =
        stage.post(
            "/v1/completions",
            new JsonObject(body).put("stop", first).encode(),
            "x-request-id",
            "r");

    assertThat(answer.body()).contains("\"finish_reason\":\"stop\"");
    assertThat(d.stats().bytesTransferred()).as("blocks went over").isGreaterThan(before);
  }
}
