package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.CanaryRule;
import dev.millrace.config.EngineKind;
import dev.millrace.config.Pairing;
import dev.millrace.config.Pool;
import dev.millrace.config.Role;
import dev.millrace.config.Route;
import dev.millrace.config.WorkerAddress;
import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.EngineRole;
import dev.millrace.simulator.SimulatedEngine;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.net.http.HttpResponse;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** {@code /v1/models}: what routes match, with what the engines say of it. */
final class ModelsTest {
  @RegisterExtension final Stage stage = new Stage();

  private Pool pool(String name, Role role, int maxModelLength, String... adapters)
      throws Exception {
    SimulatedEngine engine =
        stage.simulated(
            EngineConfig.builder()
                .role(role == Role.PREFILL ? EngineRole.PREFILL : EngineRole.DECODE)
                .model(Stage.MODEL)
                .maxModelLength(maxModelLength)
                .adapters(List.of(adapters))
                .build());
    return Pool.of(
        name, role, Stage.MODEL, EngineKind.MILLRACE_SIM, List.of(WorkerAddress.of(engine.uri())));
  }

  private void open(Pool p, Pool d) throws Exception {
    stage.openProbing(
        List.of(p, d),
        Route.of(
                Stage.MODEL,
                dev.millrace.config.Stage.roundRobin(p.name()),
                dev.millrace.config.Stage.roundRobin(d.name()))
            .withPairing(Pairing.defaults().withCanary(CanaryRule.OFF)));
  }

  private JsonArray models() {
    return new JsonObject(stage.get(stage.url("/v1/models")).body()).getJsonArray("data");
  }

  @Test
  void model_hasWhatEnginesSayAndTheShortestOfTheirLengths() throws Exception {
    open(pool("p", Role.PREFILL, 900), pool("d", Role.DECODE, 1000));

    JsonObject card = models().getJsonObject(0);

    assertThat(models()).hasSize(1);
    assertThat(card.getString("id")).isEqualTo(Stage.MODEL);
    assertThat(card.getInteger("max_model_len")).isEqualTo(900);
    assertThat(card.getString("owned_by")).isEqualTo("vllm");
    assertThat(card.getString("root")).isEqualTo(Stage.MODEL);
    assertThat(card.containsKey("parent")).isTrue();
    assertThat(new JsonObject(stage.get(stage.url("/v1/models/tiny")).body())).isEqualTo(card);
  }

  @Test
  void adapterOfAllWorkers_isAModelOfItsOwn() throws Exception {
    open(
        pool("p", Role.PREFILL, 900, "sql", "only-p"),
        pool("d", Role.DECODE, 900, "sql", "only-d"));

    assertThat(models().stream().map(model -> ((JsonObject) model).getString("id")))
        .containsExactly(Stage.MODEL, "sql");
    assertThat(models().getJsonObject(1).getString("parent")).isEqualTo(Stage.MODEL);
    HttpResponse<String> answer =
        stage.post(
            "/v1/completions",
            "{\"model\":\"sql\",\"prompt\":\"a\",\"max_tokens\":2}",
            "x-request-id",
            "one");
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    assertThat(new JsonObject(answer.body()).getString("model")).isEqualTo("sql");
    JsonObject record = stage.record("one");
    assertThat(record.getString("prefill")).isNotNull();
    assertThat(record.getValue("bypass")).isNull();
    assertThat(
            stage.post("/v1/completions", "{\"model\":\"only-p\",\"prompt\":\"a\"}").statusCode())
        .isEqualTo(404);
  }

  @Test
  void routeWithoutPrefill_isServedByOneWorker() throws Exception {
    Pool both = pool("b", Role.BOTH, 700);
    stage.openProbing(
        List.of(both), Route.aggregated(Stage.MODEL, dev.millrace.config.Stage.leastActive("b")));

    Stage.await("it was asked", () -> models().getJsonObject(0).containsKey("max_model_len"));
    HttpResponse<String> answer =
        stage.post(
            "/v1/completions",
            "{\"model\":\"tiny\",\"prompt\":\"a\",\"max_tokens\":2}",
            "x-request-id",
            "one");

    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    assertThat(stage.record("one").encode())
        .contains("\"bypass\":\"its route has no prefill stage\"");
  }
}
