package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.http.HttpResponse;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** The straight path, and what may come before a leg. */
final class ExchangeTest {
  @RegisterExtension final Stage stage = new Stage();

  @Test
  void wholeAnswer_comesFromDecodeWithThePrefillsParameters() {
    ScriptedEngine p = stage.engine(Scripts.prefill());
    ScriptedEngine d = stage.engine(Scripts.decode());
    stage.open(p, d);

    HttpResponse<String> answer = stage.post("/v1/completions", Scripts.whole());

    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(answer.body()).isEqualTo(Scripts.ANSWER);
    assertThat(p.requests()).hasSize(1);
    assertThat(d.requests()).hasSize(1);
    assertThat(d.requests().getFirst().text())
        .isEqualTo(
            "{\"model\":\"tiny\",\"prompt\":\"a\",\"max_tokens\":3,\"kv_transfer_params\":"
                + Scripts.PARAMETERS
                + "}");
  }

  @Test
  void streamedAnswer_isPassedOnByteForByte() {
    ScriptedEngine p = stage.engine(Scripts.prefill());
    ScriptedEngine d = stage.engine(Scripts.decode());
    stage.open(p, d);

    HttpResponse<String> answer = stage.post("/v1/completions", Scripts.streamed());

    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(answer.body()).isEqualTo(Scripts.EVENT + Scripts.EVENT + Scripts.DONE);
    assertThat(answer.headers().firstValue("content-type"))
        .hasValue("text/event-stream; charset=utf-8");
    assertThat(answer.headers().firstValue("x-request-id")).isPresent();
  }
}
