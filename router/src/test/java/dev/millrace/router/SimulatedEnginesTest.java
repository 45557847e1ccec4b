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
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The router before engines that speak vLLM's protocol by themselves. */
final class SimulatedEnginesTest {
  @RegisterExtension final Stage stage = new Stage();

  private SimulatedEngine engine(EngineRole role) throws Exception {
    return stage.simulated(
        EngineConfig.builder().role(role).model(Stage.MODEL).plain(true).build());
  }

  private void open() throws Exception {
    SimulatedEngine p = engine(EngineRole.PREFILL);
    SimulatedEngine d = engine(EngineRole.DECODE);
    stage.open(List.of(p.uri()), List.of(d.uri()), UnaryOperator.identity());
  }

  @ParameterizedTest
  @CsvSource({
    "/v1/completions, prompt, \"a b c\", false",
    "/v1/completions, prompt, \"a b c\", true",
    "/v1/chat/completions, messages, [{\"role\":\"user\";\"content\":\"a\"}], false",
    "/v1/chat/completions, messages, [{\"role\":\"user\";\"content\":\"a\"}], true",
  })
  void everyFormOfAnswer_comesThrough(String path, String key, String value, boolean stream)
      throws Exception {
    open();

    HttpResponse<String> answer =
        stage.post(
            path,
            "{\"model\":\"tiny\",\"max_tokens\":5,\"%s\":%s,\"stream\":%s}"
                .formatted(key, value.replace(';', ','), stream));

    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    assertThat(answer.body()).contains("\"finish_reason\":\"length\"");
    assertThat(answer.body().contains("data: [DONE]")).isEqualTo(stream);
    assertThat(stage.get(stage.adminUrl("/pd/workers")).body()).contains("\"consumed\":1");
  }

  /** Room for one prompt at a time: blocks that are given back hold another prompt at once. */
  private SimulatedEngine crowded(EngineRole role) throws Exception {
    GeometrySpec geometry =
        new GeometrySpec(
            ModelShape.dense(2, 2, 16, ElementType.BFLOAT16),
            Parallelism.tensor(1),
            16,
            Layout.HND,
            12);
    return stage.simulated(
        EngineConfig.builder().role(role).model(Stage.MODEL).geometry(geometry).build());
  }

  private static String text(HttpResponse<String> answer) {
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    return new JsonObject(answer.body()).getJsonArray("choices").getJsonObject(0).getString("text");
  }

  /**
   * A decode engine that has read tells the prefill engine so, which gives the blocks to the next
   * prompt: whoever used the same parameters again would answer with that prompt's text.
   */
  @Test
  void decodeFailsAfterItHasRead_anotherOneGetsANewPrefill() throws Exception {
    SimulatedEngine p = crowded(EngineRole.PREFILL);
    SimulatedEngine failing = crowded(EngineRole.DECODE);
    SimulatedEngine good = crowded(EngineRole.DECODE);
    SimulatedEngine alone = crowded(EngineRole.BOTH);
    failing.misbehave(new Misbehaviour.ResetMidStream(0));
    stage.open(List.of(p.uri()), List.of(failing.uri(), good.uri()), UnaryOperator.identity());
    int prompts = 12;
    try (ExecutorService clients = Executors.newFixedThreadPool(4)) {
      List<Future<Void>> asked = new ArrayList<>();
      for (int i = 0; i < prompts; i++) {
        String body =
            "{\"model\":\"tiny\",\"max_tokens\":4,\"prompt\":\"%s\"}"
                .formatted("%c fgh ".formatted('a' + i).repeat(20));
        asked.add(
            clients.submit(() -> {
              assertThat(text(stage.post("/v1/completions", body)))
                  .isEqualTo(text(stage.post(alone.uri().resolve("/v1/completions"), body)));
              return null;
            }));
      }
      for (Future<Void> each : asked) {
        each.get();
      }
    }

    assertThat(failing.stats().transfers()).isPositive();
    assertThat(p.stats().releasedHandoffs()).isEqualTo(prompts + failing.stats().transfers());
  }

  @Test
  void refusedParameter_isTheEnginesOwnError() throws Exception {
    open();

    HttpResponse<String> answer =
        stage.post(
            "/v1/completions",
            "{\"model\":\"tiny\",\"prompt\":\"a\",\"max_tokens\":2,\"min_tokens\":5}");

    assertThat(answer.statusCode()).isEqualTo(400);
    assertThat(answer.body()).contains("min_tokens must be less than or equal to max_tokens=2");
    assertThat(stage.get(stage.adminUrl("/pd/workers")).body()).contains("\"released\":1");
  }
}
