package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Listen;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The straight path, and what is refused before it. */
final class ExchangeTest {
  @RegisterExtension final Stage stage = new Stage();

  private void open() {
    stage.open(stage.engine(Scripts.prefill()), stage.engine(Scripts.decode()));
  }

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

  private static ScriptedEngine.Script prefilling(String promptTokenIds) {
    String answer =
        Scripts.PREFILLED.replace(
            "\"text\":\"\"}", "\"text\":\"\",\"prompt_token_ids\":" + promptTokenIds + "}");
    return (request, wire) -> wire.answer(200, answer);
  }

  @Test
  void textPrompt_goesToDecodeAsThePrefillsTokens() {
    ScriptedEngine p = stage.engine(prefilling("[5, 17,4294]"));
    ScriptedEngine d = stage.engine(Scripts.decode());
    stage.open(p, d);

    stage.post("/v1/completions", Scripts.whole());

    assertThat(p.requests().getFirst().text())
        .startsWith("{\"model\":\"tiny\",\"prompt\":\"a\",\"max_tokens\":1,")
        .endsWith(",\"return_token_ids\":true}");
    assertThat(d.requests().getFirst().text())
        .isEqualTo(
            "{\"model\":\"tiny\",\"prompt\":[5, 17,4294],\"max_tokens\":3,\"kv_transfer_params\":"
                + Scripts.PARAMETERS
                + "}");
  }

  @Test
  void clientsOwnWishForTokenIds_reachesDecodeAsItIs() {
    ScriptedEngine p = stage.engine(prefilling("[5]"));
    ScriptedEngine d = stage.engine(Scripts.decode());
    stage.open(p, d);

    stage.post(
        "/v1/completions", "{\"return_token_ids\":false,\"prompt\":\"a\",\"model\":\"tiny\"}");

    assertThat(p.requests().getFirst().text()).startsWith("{\"return_token_ids\":true,");
    assertThat(d.requests().getFirst().text())
        .startsWith("{\"return_token_ids\":false,\"prompt\":[5],");
  }

  @ParameterizedTest
  @ValueSource(strings = {"null", "[]", "{}", "[1,\"x\"]", "[[1]]", "7", "[1.5]"})
  void tokenIdsThatAreNone_leaveThePromptAsItIs(String ids) {
    ScriptedEngine d = stage.engine(Scripts.decode());
    stage.open(stage.engine(prefilling(ids)), d);

    HttpResponse<String> answer = stage.post("/v1/completions", Scripts.whole());

    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(d.requests().getFirst().text())
        .startsWith("{\"model\":\"tiny\",\"prompt\":\"a\",")
        .contains("\"kv_transfer_params\":{\"do_remote_prefill\":true");
  }

  @Test
  void promptOfTokens_staysTheClients() {
    ScriptedEngine p = stage.engine(prefilling("[9]"));
    ScriptedEngine d = stage.engine(Scripts.decode());
    stage.open(p, d);

    stage.post("/v1/completions", "{\"model\":\"tiny\",\"prompt\":[1,2]}");

    assertThat(p.requests().getFirst().text()).doesNotContain("return_token_ids");
    assertThat(d.requests().getFirst().text()).startsWith("{\"model\":\"tiny\",\"prompt\":[1,2],");
  }

  @Test
  void recordedLegs_ofARealEngineGoThrough() {
    ScriptedEngine d =
        stage.engine((request, wire) -> wire.answer(200, Stage.recorded("d_leg_chat.json")));
    stage.open(
        stage.engine((request, wire) -> wire.answer(200, Stage.recorded("p_leg_chat.json"))), d);

    HttpResponse<String> answer =
        stage.post("/v1/chat/completions", "{\"model\":\"tiny\",\"messages\":[]}");

    assertThat(answer.body()).isEqualTo(Stage.recorded("d_leg_chat.json"));
    String prefill = Stage.recorded("p_leg_chat.json");
    int from = prefill.indexOf("{\"do_remote_prefill\"");
    assertThat(d.requests().getFirst().text())
        .endsWith(
            ",\"kv_transfer_params\":"
                + prefill.substring(from, prefill.indexOf('}', from) + 1)
                + "}");
  }

  @Test
  void streamedAnswer_isPassedOnByteForByte() {
    String recorded = Stage.recorded("d_leg_chat.sse");
    ScriptedEngine d =
        stage.engine((request, wire) -> {
          wire.streamHead();
          for (int at = 0; at < recorded.length(); at += 333) {
            wire.chunk(recorded.substring(at, Math.min(recorded.length(), at + 333)));
          }
          wire.endChunks();
        });
    stage.open(stage.engine(Scripts.prefill()), d);

    HttpResponse<String> answer = stage.post("/v1/completions", Scripts.streamed());

    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(answer.body()).isEqualTo(recorded);
    assertThat(answer.headers().firstValue("content-type"))
        .hasValue("text/event-stream; charset=utf-8");
    assertThat(answer.headers().firstValue("x-request-id")).isPresent();
  }

  @Test
  void headers_passAsFarAsTheyMay() {
    ScriptedEngine p = stage.engine(Scripts.prefill());
    ScriptedEngine d = stage.engine(Scripts.decode());
    stage.open(p, d);

    HttpResponse<String> answer =
        stage.post(
            "/v1/completions",
            Scripts.whole(),
            "authorization",
            "Bearer k",
            "x-request-id",
            "my-id_1",
            "x-data-parallel-rank",
            "3",
            "x-bootstrap-room",
            "3",
            "te",
            "trailers",
            "accept-encoding",
            "gzip",
            "x-mine",
            "yes");

    for (ScriptedEngine engine : List.of(p, d)) {
      assertThat(engine.requests().getFirst().headers())
          .containsEntry("authorization", "Bearer k")
          .containsEntry("x-request-id", "my-id_1")
          .containsEntry("x-mine", "yes")
          .containsEntry("content-type", "application/json")
          .containsEntry("host", "127.0.0.1:" + engine.url().getPort())
          .doesNotContainKeys(
              "x-data-parallel-rank", "x-bootstrap-room", "te", "accept-encoding", "connection");
    }
    assertThat(answer.headers().firstValue("x-request-id")).hasValue("my-id_1");
    assertThat(answer.headers().firstValue("server")).hasValue("uvicorn");
  }

  @Test
  void harmfulRequestId_isReplacedOnBothLegs() {
    ScriptedEngine p = stage.engine(Scripts.prefill());
    ScriptedEngine d = stage.engine(Scripts.decode());
    stage.open(p, d);

    HttpResponse<String> answer =
        stage.post("/v1/completions", Scripts.whole(), "x-request-id", "../../etc");

    String id = answer.headers().firstValue("x-request-id").orElseThrow();
    assertThat(id).matches("[0-9a-f]{32}");
    assertThat(p.requests().getFirst().headers()).containsEntry("x-request-id", id);
    assertThat(d.requests().getFirst().headers()).containsEntry("x-request-id", id);
  }

  @Test
  void twentyStreamsAtOnce_allGetTheirOwn() {
    ScriptedEngine d =
        stage.engine((request, wire) -> {
          String prompt = request.text().replaceAll(".*\"prompt\":\"([^\"]*)\".*", "$1");
          wire.streamHead();
          for (int i = 0; i < 20; i++) {
            wire.chunk("data: {\"choices\":[{\"text\":\"" + prompt + "-" + i + "\"}]}\n\n");
          }
          wire.chunk(Scripts.DONE).endChunks();
        });
    stage.open(stage.engine(Scripts.prefill()), d);

    List<CompletableFuture<HttpResponse<String>>> all =
        IntStream.range(0, 20)
            .mapToObj(i ->
                stage
                    .client()
                    .sendAsync(
                        HttpRequest.newBuilder(stage.url("/v1/completions"))
                            .timeout(Stage.GENEROUS)
                            .POST(
                                HttpRequest.BodyPublishers.ofString(
                                    Scripts.streamed().replace("\"a\"", "\"q" + i + "\"")))
                            .build(),
                        HttpResponse.BodyHandlers.ofString()))
            .toList();

    for (int i = 0; i < all.size(); i++) {
      assertThat(all.get(i).join().body())
          .contains("\"q" + i + "-0\"", "\"q" + i + "-19\"", "[DONE]");
    }
  }

  @Test
  void pipelinedRequests_areAnsweredInTheirOrder() {
    ScriptedEngine d =
        stage.engine((request, wire) ->
            wire.answer(200, "{\"said\":\"" + request.text().contains("\"first\"") + "\"}"));
    stage.open(stage.engine(Scripts.prefill()), d);

    try (RawClient client = stage.raw()) {
      client.send(
          RawClient.post("/v1/completions", Scripts.whole().replace("\"a\"", "\"first\""))
              + RawClient.post("/v1/completions", Scripts.whole().replace("\"a\"", "\"second\"")));
      client.readUntil("{\"said\":\"true\"}");
      client.readUntil("{\"said\":\"false\"}");
    }
  }

  @Test
  void keptAliveConnections_areReusedOnBothSides() {
    ScriptedEngine p = stage.engine(Scripts.prefill());
    stage.open(p, stage.engine(Scripts.decode()), 1);

    try (RawClient client = stage.raw()) {
      for (int i = 0; i < 3; i++) {
        client.send(RawClient.post("/v1/completions", Scripts.whole())).readUntil(Scripts.ANSWER);
      }
    }
    assertThat(p.requests()).hasSize(3);
    assertThat(p.connections()).isEqualTo(1);
  }

  @Test
  void clientOfHttp10_getsItsStreamWithoutChunks() {
    open();

    try (RawClient client = stage.raw()) {
      client.send(
          RawClient.post("/v1/completions", Scripts.streamed()).replace("HTTP/1.1", "HTTP/1.0"));
      assertThat(client.readToEnd())
          .doesNotContainIgnoringCase("transfer-encoding")
          .endsWith("\r\n\r\n" + Scripts.EVENT + Scripts.EVENT + Scripts.DONE);
    }
  }

  @Test
  void clientOfHttp10ThatKeepsAlive_seesTheEndOfItsStream() {
    open();

    try (RawClient client = stage.raw()) {
      client.send(
          RawClient.post("/v1/completions", Scripts.streamed())
              .replace("HTTP/1.1", "HTTP/1.0\r\nconnection: keep-alive"));
      assertThat(client.readToEnd())
          .containsIgnoringCase("connection: close")
          .endsWith("\r\n\r\n" + Scripts.EVENT + Scripts.EVENT + Scripts.DONE);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '\0',
      value = {"\"n\":0", "\"prompt_logprobs\":1,\"n\":2", "\"truncate_prompt_tokens\":-1"})
  void requestThatCannotBeHandedOver_isComputedByADecodeWorkerAlone(String member) {
    ScriptedEngine p = stage.engine(Scripts.prefill());
    ScriptedEngine d = stage.engine(Scripts.decode());
    stage.open(p, d);
    String body = "{\"model\":\"tiny\",\"prompt\":\"a\"," + member + "}";

    assertThat(stage.post("/v1/completions", body).body()).isEqualTo(Scripts.ANSWER);

    assertThat(p.requests()).isEmpty();
    assertThat(d.requests().getFirst().text()).isEqualTo(body);
  }

  @Test
  void closedRouter_resetsWhatIsOpen() throws Exception {
    ScriptedEngine p = stage.engine((request, wire) -> wire.awaitGone());
    Router router = stage.open(p, stage.engine(Scripts.decode()));
    try (RawClient client = stage.raw()) {
      client.send(RawClient.post("/v1/completions", Scripts.whole()));
      Stage.await("the leg is open", () -> p.requests().size() == 1);

      assertThat(router.close().await(10, java.util.concurrent.TimeUnit.SECONDS)).isNull();

      Stage.await("the leg is closed", () -> p.openConnections() == 0);
      Stage.await("the exchange is settled", () -> router.occupancy().isIdle());
    }
  }

  @Test
  void chunkedRequest_isCollected() {
    ScriptedEngine p = stage.engine(Scripts.prefill());
    stage.open(p, stage.engine(Scripts.decode()));

    try (RawClient client = stage.raw()) {
      client.send("POST /v1/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
      for (String part : List.of("{\"model\":", "\"tiny\",\"prompt\"", ":\"a\"}")) {
        client.send(Integer.toHexString(part.length()) + "\r\n" + part + "\r\n");
      }
      client.send("0\r\n\r\n").readUntil(Scripts.ANSWER);
    }
    assertThat(p.requests().getFirst().text())
        .startsWith("{\"model\":\"tiny\",\"prompt\":\"a\",\"max_tokens\":1,");
  }

  @ParameterizedTest
  @CsvSource({"content-length: 5000", "transfer-encoding: chunked"})
  void bodyThatIsTooLarge_is413(String framing) {
    Listen listen = Listen.defaults().withPort(0).withMaxBodyBytes(2048);
    stage.open(
        List.of(stage.engine(Scripts.prefill()).url()),
        List.of(stage.engine(Scripts.decode()).url()),
        UnaryOperator.identity(),
        listen);

    try (RawClient client = stage.raw()) {
      client.send(
          "POST /v1/completions HTTP/1.1\r\nhost: x\r\n"
              + framing
              + "\r\n\r\nfff\r\n"
              + "x".repeat(4096));
      assertThat(client.readUntil("body_too_large")).startsWith("HTTP/1.1 413 ");
    }
  }

  @ParameterizedTest
  @CsvSource({"false", "true"})
  void clientWhoseBodyIsTooLarge_isCutOffWhetherItEndsOrNot(boolean ends) {
    Listen listen = Listen.defaults().withPort(0).withMaxBodyBytes(2048);
    stage.open(
        List.of(stage.engine(Scripts.prefill()).url()),
        List.of(stage.engine(Scripts.decode()).url()),
        UnaryOperator.identity(),
        listen);

    try (RawClient client = stage.raw()) {
      client.send("POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 5000\r\n\r\n");
      client.send("x".repeat(ends ? 5000 : 4000));
      assertThat(client.readToEnd()).startsWith("HTTP/1.1 413 ").contains("body_too_large");
    }
  }

  @ParameterizedTest
  @CsvSource({
    "GET, /v1/completions, 405, method_not_allowed",
    "DELETE, /v1/models, 405, method_not_allowed",
    "GET, /v1/nothing, 404, unknown_path",
    "POST, /, 404, unknown_path",
  })
  void otherPathsAndMethods_areRefused(String method, String path, int status, String slug) {
    open();

    HttpResponse<String> answer =
        stage.send(
            HttpRequest.newBuilder(stage.url(path))
                .timeout(Stage.GENEROUS)
                .method(method, HttpRequest.BodyPublishers.noBody())
                .build());

    assertThat(answer.statusCode()).isEqualTo(status);
    assertThat(answer.body()).contains("\"code\":\"" + slug + "\"");
    assertThat(answer.headers().firstValue("x-request-id")).isPresent();
  }

  @Test
  void options_nameTheMethods() {
    open();

    try (RawClient client = stage.raw()) {
      String answer =
          client.send("OPTIONS /v1/completions HTTP/1.1\r\nhost: x\r\n\r\n").readUntil("\r\n\r\n");
      assertThat(answer).startsWith("HTTP/1.1 204 ").contains("POST, OPTIONS");
    }
  }

  @Test
  void head_ofModelsHasNoBody() {
    open();

    try (RawClient client = stage.raw()) {
      client.send("HEAD /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
      assertThat(client.readToEnd()).startsWith("HTTP/1.1 200 ").endsWith("\r\n\r\n");
    }
  }

  @Test
  void models_areThoseOfTheTable() {
    open();

    assertThat(stage.get(stage.url("/v1/models")).body())
        .isEqualTo(
            "{\"object\":\"list\",\"data\":[{\"id\":\"tiny\",\"object\":\"model\",\"created\":0,"
                + "\"owned_by\":\"millrace\"}]}");
    assertThat(stage.get(stage.url("/health")).statusCode()).isEqualTo(200);
  }

  @Test
  void unknownModel_is404() {
    open();

    HttpResponse<String> answer = stage.post("/v1/completions", "{\"model\":\"x\\\"y\"}");

    assertThat(answer.statusCode()).isEqualTo(404);
    assertThat(answer.body()).contains("\"code\":\"model_not_found\"").contains("\\\"x\\\"y\\\"");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '\0',
      value = {"{ | invalid_json", "{\"model\":\"tiny\",\"n\":1,\"n\":1} | duplicate_member"})
  void badJson_is400InOpenAisForm(String body, String slug) {
    open();

    HttpResponse<String> answer = stage.post("/v1/completions", body);

    assertThat(answer.statusCode()).isEqualTo(400);
    assertThat(answer.body())
        .startsWith("{\"error\":{\"message\":\"")
        .endsWith("\"type\":\"invalid_request_error\",\"param\":null,\"code\":\"" + slug + "\"}}");
  }

  @Test
  void compressedBody_is415() {
    open();

    assertThat(
            stage.post("/v1/completions", Scripts.whole(), "content-encoding", "gzip").statusCode())
        .isEqualTo(415);
  }

  @Test
  void clientsOwnParameters_reachNoEngine() {
    ScriptedEngine p = stage.engine((request, wire) -> wire.answer(200, "{}"));
    ScriptedEngine d = stage.engine(Scripts.decode());
    stage.open(p, d);

    stage.post(
        "/v1/completions",
        "{\"model\":\"tiny\",\"kv_transfer_params\":{\"remote_host\":\"evil\"},\"prompt\":\"a\"}");

    assertThat(p.requests().getFirst().text()).doesNotContain("evil");
    assertThat(d.requests().getFirst().text()).isEqualTo("{\"model\":\"tiny\",\"prompt\":\"a\"}");
  }
}
