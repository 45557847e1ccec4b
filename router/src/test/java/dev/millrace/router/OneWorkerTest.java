package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import io.vertx.core.json.JsonObject;
import java.net.http.HttpResponse;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Endpoints that generate nothing: a decode worker gets the client's bytes, no prefill worker any.
 */
final class OneWorkerTest {
  private static final String ANSWER = "{\"object\":\"list\",\"data\":[]}";

  @RegisterExtension final Stage stage = new Stage();
  private final ScriptedEngine p = ScriptedEngine.playing(Scripts.prefill());
  private final ScriptedEngine d =
      ScriptedEngine.playing((request, wire) -> wire.answer(200, ANSWER));

  private void open() {
    stage.closing(p);
    stage.closing(d);
    stage.open(p, d);
  }

  @ParameterizedTest
  @CsvSource({
    "/v1/embeddings, /v1/embeddings",
    "/v1/rerank, /v1/rerank",
    "/rerank, /v1/rerank",
    "/v2/rerank, /v1/rerank",
    "/v1/score, /v1/score",
    "/score, /v1/score",
    "/v1/classify, /classify",
    "/classify, /classify",
    "/pooling, /pooling",
    "/v1/audio/speech, /v1/audio/speech",
    "/tokenize, /tokenize",
    "/detokenize, /detokenize",
  })
  void request_goesToADecodeWorkerAlone(String path, String enginePath) {
    open();
    String body = "{ \"model\":\"tiny\", \"input\" : [\"\\u00e9\", 1e0], \"n\":\"x\" }";

    HttpResponse<String> answer = stage.post(path, body, "x-request-id", "one");

    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    assertThat(answer.body()).isEqualTo(ANSWER);
    assertThat(p.requests()).isEmpty();
    assertThat(d.requests().getFirst().path()).isEqualTo(enginePath);
    assertThat(d.requests().getFirst().text()).isEqualTo(body);
    JsonObject record = stage.record("one");
    assertThat(record.getString("bypass")).endsWith("is for one worker");
  }

  @Test
  void requestWithoutModel_goesWhereThereIsNoChoice() {
    open();

    assertThat(stage.post("/detokenize", "{\"tokens\":[1]}").statusCode()).isEqualTo(200);

    assertThat(d.requests().getFirst().text()).isEqualTo("{\"tokens\":[1]}");
  }

  @Test
  void unknownModel_isNotFound() {
    open();

    HttpResponse<String> answer = stage.post("/v1/embeddings", "{\"model\":\"x\"}");

    assertThat(answer.statusCode()).isEqualTo(404);
    assertThat(answer.body()).contains("\"code\":\"model_not_found\"");
  }

  @Test
  void clientsInternalMembers_areTakenOut() {
    open();

    stage.post(
        "/v1/embeddings", "{\"model\":\"tiny\",\"kv_transfer_params\":{\"a\":1},\"input\":\"x\"}");

    assertThat(d.requests().getFirst().text()).isEqualTo("{\"model\":\"tiny\",\"input\":\"x\"}");
  }

  @ParameterizedTest
  @ValueSource(strings = {"boundary=XyZ", "boundary=\"XyZ\"; charset=utf-8"})
  void audio_goesAsTheFormThatItIs(String boundary) {
    open();
    d.play((request, wire) ->
        wire.send("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello"));
    String form =
        String.join(
            "\r\n",
            "--XyZ",
            "content-disposition: form-data; name=\"file\"; filename=\"model\"",
            "",
            "\u0000--XyA\u0001",
            "--XyZ",
            "Content-Disposition: form-data; name=\"model\"",
            "",
            "tiny",
            "--XyZ--",
            "");

    HttpResponse<String> answer =
        stage.send(
            java.net.http.HttpRequest.newBuilder(stage.url("/v1/audio/transcriptions"))
                .timeout(Stage.GENEROUS)
                .header("content-type", "multipart/form-data; " + boundary)
                .POST(java.net.http.HttpRequest.BodyPublishers.ofString(form))
                .build());

    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    assertThat(answer.body()).isEqualTo("hello");
    assertThat(answer.headers().firstValue("content-type")).hasValue("text/plain");
    assertThat(d.requests().getFirst().text()).isEqualTo(form);
    assertThat(d.requests().getFirst().headers().get("content-type"))
        .isEqualTo("multipart/form-data; " + boundary);
  }

  @Test
  void formOfAnotherModel_isNotFound() {
    open();

    HttpResponse<String> answer =
        stage.send(
            java.net.http.HttpRequest.newBuilder(stage.url("/v1/audio/translations"))
                .timeout(Stage.GENEROUS)
                .header("content-type", "multipart/form-data; boundary=b")
                .POST(
                    java.net.http.HttpRequest.BodyPublishers.ofString(
                        "--b\r\ncontent-disposition: form-data; name=model\r\n\r\nx\r\n--b--\r\n"))
                .build());

    assertThat(answer.statusCode()).isEqualTo(404);
    assertThat(d.requests()).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(strings = {"/", "/v1", "/v1/audio/x", "/v1/models/x", "/metrics", "/v2/models"})
  void unknownPath_isAnErrorInOpenAisForm(String path) {
    open();

    HttpResponse<String> answer = stage.get(stage.url(path));

    assertThat(answer.statusCode()).isEqualTo(404);
    JsonObject error = new JsonObject(answer.body()).getJsonObject("error");
    assertThat(error.fieldNames()).containsExactly("message", "type", "param", "code");
    assertThat(error.getString("type")).isEqualTo("not_found_error");
    assertThat(answer.headers().firstValue("x-request-id")).isPresent();
  }

  @Test
  void otherMethod_saysWhichThereIs() {
    open();

    HttpResponse<String> answer = stage.get(stage.url("/v1/embeddings"));

    assertThat(answer.statusCode()).isEqualTo(405);
    assertThat(answer.headers().firstValue("allow")).hasValue("POST, OPTIONS");
  }
}
