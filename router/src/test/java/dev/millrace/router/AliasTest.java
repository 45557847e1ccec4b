package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.CanaryRule;
import dev.millrace.config.EngineKind;
import dev.millrace.config.Match;
import dev.millrace.config.Pairing;
import dev.millrace.config.Pool;
import dev.millrace.config.Role;
import dev.millrace.config.Route;
import dev.millrace.config.WorkerAddress;
import dev.millrace.router.ApisTest.Form;
import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.EngineRole;
import dev.millrace.simulator.SimulatedEngine;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Models that engines know by another name than their clients. */
final class AliasTest {
  private static final String ALIAS = "gpt \"4\"";
  private static final String QUOTED = "\"gpt \\\"4\\\"\"";

  @RegisterExtension final Stage stage = new Stage();

  private static Route aliased(Route route) {
    return route.withName("alias").withMatch(Match.model(ALIAS)).withServedModelName(Stage.MODEL);
  }

  private SimulatedEngine engine(EngineRole role, String... adapters) throws Exception {
    return stage.simulated(
        EngineConfig.builder().role(role).model(Stage.MODEL).adapters(List.of(adapters)).build());
  }

  @ParameterizedTest
  @CsvSource({
    "COMPLETIONS, false", "COMPLETIONS, true", "CHAT, false", "CHAT, true",
    "RESPONSES, false", "RESPONSES, true", "MESSAGES, false", "MESSAGES, true"
  })
  void answer_isTheEnginesUnderTheClientsName(Form form, boolean stream) throws Exception {
    SimulatedEngine p = engine(EngineRole.PREFILL);
    SimulatedEngine d = engine(EngineRole.DECODE);
    SimulatedEngine alone = engine(EngineRole.BOTH);
    stage.open(List.of(p.uri()), List.of(d.uri()), AliasTest::aliased);
    String asked = form.body(stream).replace("\"tiny\"", QUOTED);
    String expected =
        stage
            .post(alone.uri().resolve(form.path), form.body(stream), "x-request-id", "r")
            .body()
            .replace("\"model\":\"tiny\"", "\"model\":" + QUOTED);

    HttpResponse<String> answer = stage.post(form.path, asked, "x-request-id", "r");

    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    assertThat(ApisTest.said(answer.body())).isEqualTo(ApisTest.said(expected)).contains(QUOTED);
    assertThat(d.stats().bytesTransferred()).isPositive();
    JsonObject record = stage.record("r");
    assertThat(record.getString("model")).isEqualTo(ALIAS);
    assertThat(record.getString("route")).isEqualTo("alias");
    assertThat(record.getString("asked_as")).isEqualTo(Stage.MODEL);
  }

  /** Also the requests that a client does not see: prompts on their own, and what is let go. */
  @Test
  void everyEngineOfAnExchange_isAskedByItsOwnName() throws Exception {
    ScriptedEngine p = stage.engine(Scripts.prefill());
    ScriptedEngine d = stage.engine(Scripts.decode());
    stage.open(List.of(p.url()), List.of(d.url()), AliasTest::aliased);

    assertThat(
            stage
                .post(
                    "/v1/completions", "{\"model\":%s,\"prompt\":\"a\",\"n\":2}".formatted(QUOTED))
                .statusCode())
        .isEqualTo(200);

    assertThat(p.requests()).isNotEmpty();
    assertThat(d.requests()).hasSizeGreaterThan(1);
    for (ScriptedEngine engine : List.of(p, d)) {
      assertThat(engine.requests())
          .allSatisfy(request -> assertThat(request.text()).contains("\"model\":\"tiny\""));
    }
  }

  @Test
  void blocksThatAreLetGo_areReleasedUnderTheEnginesName() throws Exception {
    ScriptedEngine p = stage.engine(Scripts.prefill());
    ScriptedEngine d =
        stage.engine(
            Scripts.butForReleases((request, wire) -> wire.answer(422, Scripts.ERROR_BODY)));
    stage.open(List.of(p.url()), List.of(d.url()), AliasTest::aliased);

    stage.post("/v1/completions", "{\"model\":%s,\"prompt\":\"a\"}".formatted(QUOTED));

    Stage.await("the blocks are released", () -> d.requests().size() == 2);
    assertThat(d.requests().getLast().text()).contains("\"model\":\"tiny\"");
  }

  @ParameterizedTest
  @ValueSource(strings = {"application/json", "text/plain"})
  void answerOfOneWorker_hasTheClientsNameIfItIsJson(String type) throws Exception {
    String body = "{\"object\":\"list\",\"model\":\"tiny\",\"data\":[]}";
    ScriptedEngine d =
        stage.engine((request, wire) ->
            wire.send(
                "HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n%s"
                    .formatted(type, body.length(), body)));
    stage.open(List.of(d.url()), List.of(d.url()), AliasTest::aliased);

    HttpResponse<String> answer =
        stage.post("/v1/embeddings", "{\"model\":%s,\"input\":\"a\"}".formatted(QUOTED));

    assertThat(d.requests().getFirst().text()).contains("\"model\":\"tiny\"");
    assertThat(answer.body())
        .isEqualTo(type.contains("json") ? body.replace("\"tiny\"", QUOTED) : body);
  }

  @Test
  void form_hasTheEnginesName() {
    ScriptedEngine d = stage.engine(Scripts.decode());
    stage.open(
        List.of(d.url()),
        List.of(d.url()),
        route -> aliased(route).withMatch(Match.model("whisper")));
    String form =
        String.join(
            "\r\n",
            "--b",
            "content-disposition: form-data; name=model",
            "",
            "%s",
            "--b",
            "content-disposition: form-data; name=file",
            "",
            "whisper",
            "--b--",
            "");

    stage.send(
        HttpRequest.newBuilder(stage.url("/v1/audio/transcriptions"))
            .timeout(Stage.GENEROUS)
            .header("content-type", "multipart/form-data; boundary=b")
            .POST(HttpRequest.BodyPublishers.ofString(form.formatted("whisper")))
            .build());

    assertThat(d.requests().getFirst().text()).isEqualTo(form.formatted("tiny"));
  }

  @Test
  void models_haveTheAliasWithTheEnginesNameAsItsRoot() throws Exception {
    Pool pool =
        Pool.of(
            "b",
            Role.BOTH,
            Stage.MODEL,
            EngineKind.MILLRACE_SIM,
            List.of(WorkerAddress.of(engine(EngineRole.BOTH, "sql").uri())));
    Route any =
        Route.aggregated(Stage.MODEL, dev.millrace.config.Stage.leastActive("b"))
            .withPairing(Pairing.defaults().withCanary(CanaryRule.OFF))
            .withServedModelName(Stage.MODEL);
    stage.openProbing(
        List.of(pool),
        any.withName("alias").withMatch(Match.model("gpt")),
        any.withName("all").withMatch(Match.model("g*")));
    Stage.await("the adapter is known", () -> models().size() == 2);

    JsonObject card = models().getJsonObject(0);
    assertThat(card.getString("id")).isEqualTo("gpt");
    assertThat(card.getString("root")).isEqualTo(Stage.MODEL);
    assertThat(card.getInteger("max_model_len")).isPositive();
    assertThat(models().getJsonObject(1).getString("id")).isEqualTo("sql");
    assertThat(new JsonObject(stage.get(stage.url("/v1/models/g4")).body()).getString("root"))
        .isEqualTo(Stage.MODEL);
    for (String model : List.of("gpt", "g4", "sql")) {
      HttpResponse<String> answer =
          stage.post(
              "/v1/completions",
              "{\"model\":\"%s\",\"prompt\":\"a\",\"max_tokens\":2}".formatted(model));
      assertThat(new JsonObject(answer.body()).getString("model")).isEqualTo(model);
    }
  }

  private JsonArray models() {
    return new JsonObject(stage.get(stage.url("/v1/models")).body()).getJsonArray("data");
  }
}
