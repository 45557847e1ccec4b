package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.EngineRole;
import dev.millrace.simulator.SimulatedEngine;
import java.net.http.HttpResponse;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The router before engines that speak vLLM's protocol by themselves. */
final class SimulatedEnginesTest {
  @RegisterExtension final Stage stage = new Stage();

  private SimulatedEngine engine(EngineRole role) throws Exception {
    SimulatedEngine engine =
        SimulatedEngine.start(
                stage.vertx(),
                EngineConfig.builder().role(role).model(Stage.MODEL).plain(true).build())
            .await(10, TimeUnit.SECONDS);
    stage.closing(() -> engine.close().await(10, TimeUnit.SECONDS));
    return engine;
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
