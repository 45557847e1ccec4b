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
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Every endpoint that generates, disaggregated between engines of unequal shape: the client gets
 * what one engine would have said, in the form of the endpoint.
 */
final class ApisTest {
  @RegisterExtension final Stage stage = new Stage();

  /** Requests for the same, in each form. */
  enum Form {
    COMPLETIONS("/v1/completions", "\"prompt\":\"What is a cache? Tell me.\",\"max_tokens\":7"),
    CHAT(
        "/v1/chat/completions",
        "\"messages\":[{\"role\":\"user\",\"content\":\"What is a cache?\"}],\"max_completion_tokens\":7"),
    RESPONSES("/v1/responses", "\"input\":\"What is a cache?\",\"max_output_tokens\":7"),
    MESSAGES(
        "/v1/messages",
        "\"system\":\"Be kind.\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"Why?\"}]}],\"max_tokens\":7");

    final String path;
    final String members;

    Form(String path, String members) {
      this.path = path;
      this.members = members;
    }

    String body(boolean stream) {
      return "{\"model\":\"tiny\"," + members + ",\"stream\":" + stream + "}";
    }
  }

  private SimulatedEngine engine(EngineRole role, int tensor, int blockSize) throws Exception {
    GeometrySpec geometry =
        new GeometrySpec(
            ModelShape.dense(3, 4, 16, ElementType.BFLOAT16),
            Parallelism.tensor(tensor),
            blockSize,
            Layout.HND,
            2048 / blockSize);
    return stage.simulated(
        EngineConfig.builder().role(role).model(Stage.MODEL).geometry(geometry).build());
  }

  /** What differs from one request to the next, and from one engine to another, in one form. */
  static String said(String body) {
    return body.replaceAll("\"created(_at)?\":\\d+", "\"created\":0")
        .replaceAll("(resp|msg)_[0-9a-f]{16}", "id")
        .replaceAll("vllm-0.32.0(\\+millrace-sim)?-[0-9a-f]{8}", "fingerprint");
  }

  @ParameterizedTest
  @CsvSource({
    "COMPLETIONS, false", "COMPLETIONS, true", "CHAT, false", "CHAT, true",
    "RESPONSES, false", "RESPONSES, true", "MESSAGES, false", "MESSAGES, true"
  })
  void answer_isThatOfOneEngineToTheLastByte(Form form, boolean stream) throws Exception {
    SimulatedEngine p = engine(EngineRole.PREFILL, 1, 16);
    SimulatedEngine d = engine(EngineRole.DECODE, 2, 32);
    SimulatedEngine alone = engine(EngineRole.BOTH, 1, 16);
    stage.open(List.of(p.uri()), List.of(d.uri()), UnaryOperator.identity());
    String expected =
        stage.post(alone.uri().resolve(form.path), form.body(stream), "x-request-id", "r").body();

    HttpResponse<String> answer = stage.post(form.path, form.body(stream), "x-request-id", "r");

    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    assertThat(said(answer.body())).isEqualTo(said(expected)).contains("tiny");
    assertThat(d.stats().bytesTransferred()).isPositive();
    assertThat(d.stats().prefillTokensComputed()).as("D computes one token at most").isLessThan(2);
    Stage.await("P holds no blocks", () -> p.stats().heldBlocks() == 0);
    JsonObject record = stage.record("r");
    assertThat(record.getValue("bypass")).isNull();
    assertThat(record.getString("path")).isEqualTo(form.path);
  }

  @ParameterizedTest
  @EnumSource(Form.class)
  void decodeThatDiesMidStream_endsWithAnErrorEvent(Form form) throws Exception {
    SimulatedEngine p = engine(EngineRole.PREFILL, 1, 16);
    SimulatedEngine d = engine(EngineRole.DECODE, 1, 16);
    d.misbehave(new Misbehaviour.ResetMidStream(3));
    stage.open(List.of(p.uri()), List.of(d.uri()), UnaryOperator.identity());

    HttpResponse<String> answer = stage.post(form.path, form.body(true), "x-request-id", "r");

    assertThat(answer.statusCode()).isEqualTo(200);
    String last =
        answer.body().substring(answer.body().lastIndexOf("\n\n", answer.body().length() - 3) + 2);
    JsonObject event = new JsonObject(last.substring(last.indexOf("data: ") + 6));
    assertThat(event.getJsonObject("error").getString("code")).isEqualTo("decode_broken");
    boolean named = form == Form.RESPONSES || form == Form.MESSAGES;
    assertThat(last.startsWith("event: error\n")).isEqualTo(named);
    assertThat(event.getString("type")).isEqualTo(named ? "error" : null);
    assertThat(answer.body()).doesNotContain("[DONE]");
  }

  @ParameterizedTest
  @EnumSource(Form.class)
  void refusedRequest_hasTheFormOfItsEndpoint(Form form) throws Exception {
    SimulatedEngine p = engine(EngineRole.PREFILL, 1, 16);
    stage.open(List.of(p.uri()), List.of(p.uri()), UnaryOperator.identity());

    HttpResponse<String> answer = stage.post(form.path, form.body(true).replace("tiny", "huge"));

    assertThat(answer.statusCode()).isEqualTo(404);
    JsonObject body = new JsonObject(answer.body());
    assertThat(body.getJsonObject("error").getString("type")).isEqualTo("not_found_error");
    assertThat(body.getString("type")).isEqualTo(form == Form.MESSAGES ? "error" : null);
  }

  @ParameterizedTest
  @EnumSource(Form.class)
  void blocksThatDoNotArrive_areAnErrorAndNotA200(Form form) throws Exception {
    SimulatedEngine p = engine(EngineRole.PREFILL, 1, 32);
    SimulatedEngine d = engine(EngineRole.DECODE, 1, 16);
    d.misbehave(new Misbehaviour.ResetMidStream(0));
    stage.open(
        List.of(p.uri()),
        List.of(d.uri()),
        route -> route.withRetries(new dev.millrace.config.Retries(0, 0, 10)));

    HttpResponse<String> answer = stage.post(form.path, form.body(true));

    assertThat(answer.statusCode()).isGreaterThanOrEqualTo(500);
    assertThat(answer.body()).contains("decode_broken");
  }
}
