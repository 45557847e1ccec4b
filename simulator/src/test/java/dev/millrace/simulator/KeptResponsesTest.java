package dev.millrace.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.http.HttpResponse;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Responses that are asked for again, or gone on from, as of vLLM 0.32.0. */
class KeptResponsesTest {
  private static final String RESPONSES = "/v1/responses";

  @RegisterExtension private final EngineInvariants engines = new EngineInvariants();

  private static HttpResponse<String> ask(SimulatedEngine engine, String input, String members) {
    return Caller.post(
        engine,
        RESPONSES,
        "{\"model\":\"tiny\",\"input\":\"%s\",\"max_output_tokens\":4%s}"
            .formatted(input, members));
  }

  private static String notFound(String id) {
    return "{\"error\":{\"message\":\"Response with id '%s' not found.\",\"type\":\"invalid_request_error\",\"param\":\"response_id\",\"code\":404}}"
        .formatted(id);
  }

  @Test
  void response_isShownAsItWasAnswered() {
    SimulatedEngine engine = engines.start(config -> config);
    HttpResponse<String> made = ask(engine, "a", "");
    String path = RESPONSES + "/" + Json.at(made.body(), "id");

    assertThat(Caller.get(engine, path).body()).isEqualTo(made.body());
    assertThat(Caller.get(engine, path).statusCode()).isEqualTo(200);
    assertThat(Caller.post(engine, path, "").statusCode()).isEqualTo(405);
    assertThat(Caller.post(engine, path + "/cancel", "").body())
        .isEqualTo(
            "{\"error\":{\"message\":\"Cannot cancel a synchronous response.\",\"type\":\"invalid_request_error\",\"param\":\"response_id\",\"code\":400}}");
  }

  @Test
  void stream_isShownAsItsLastEventHasIt() {
    SimulatedEngine engine = engines.start(config -> config);
    String stream = ask(engine, "a", ",\"stream\":true").body();
    String last = Json.raw(stream.substring(stream.lastIndexOf("data: ") + 6), "response");

    assertThat(Caller.get(engine, RESPONSES + "/" + Json.at(last, "id")).body()).isEqualTo(last);
  }

  /** The prompt is then that of the whole conversation, and so is the answer. */
  @Test
  void previousResponse_isPutBeforeTheInput() {
    SimulatedEngine engine = engines.start(config -> config);
    String first = ask(engine, "a", "").body();

    String goingOn = ",\"previous_response_id\":\"" + Json.at(first, "id") + "\"";
    String second = ask(engine, "b", goingOn).body();

    String messages =
        "[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"%s\"},{\"role\":\"user\",\"content\":\"b\"}]"
            .formatted(Json.at(first, "output[].content[].text"));
    String asOne =
        Caller.post(
                engine,
                RESPONSES,
                "{\"model\":\"tiny\",\"input\":%s,\"max_output_tokens\":4}".formatted(messages))
            .body();
    assertThat(Json.at(second, "output[].content[].text"))
        .isEqualTo(Json.at(asOne, "output[].content[].text"));
    assertThat(Json.at(second, "usage.input_tokens"))
        .isEqualTo(Json.at(asOne, "usage.input_tokens"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {",\"store\":false", ",\"store\":null", ",\"store\":false,\"stream\":true"})
  void responseThatIsNotStored_isNotFound(String members) {
    SimulatedEngine engine = engines.start(config -> config);
    String made = ask(engine, "a", members).body();
    int at = made.indexOf("resp_");
    String id = made.substring(at, made.indexOf('"', at));

    assertThat(Caller.get(engine, RESPONSES + "/" + id).body()).isEqualTo(notFound(id));
    assertThat(ask(engine, "b", ",\"previous_response_id\":\"" + id + "\"").body())
        .isEqualTo(notFound(id));
    assertThat(Caller.post(engine, RESPONSES + "/" + id + "/cancel", "").statusCode())
        .isEqualTo(404);
  }
}
