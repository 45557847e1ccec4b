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
import dev.millrace.simulator.VllmRelease;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
import io.vertx.core.json.JsonObject;
import java.net.URI;
import java.net.http.HttpResponse;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** The tokens that a prefill worker made of a chat, at decode workers that take them or do not. */
final class ChatTokensTest {
  private static final String CHAT = "/v1/chat/completions";
  private static final String BODY =
      "{\"model\":\"tiny\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":%s}]}";
  private static final String TEXT = BODY.formatted("\"Hello\"");

  @RegisterExtension final Stage stage = new Stage();

  private SimulatedEngine engine(EngineRole role, VllmRelease release) throws Exception {
    return stage.simulated(
        EngineConfig.builder().role(role).model(Stage.MODEL).release(release).build());
  }

  /** Stands before an engine, and keeps what it is asked. */
  private ScriptedEngine before(SimulatedEngine engine) {
    return stage.engine((request, wire) -> {
      URI url = engine.uri().resolve(request.path());
      HttpResponse<String> answer =
          request.head().startsWith("GET") ? stage.get(url) : stage.post(url, request.text());
      wire.answer(answer.statusCode(), answer.body());
    });
  }

  private static Pool pool(String name, Role role, URI url) {
    return Pool.of(
        name, role, Stage.MODEL, EngineKind.MILLRACE_SIM, List.of(WorkerAddress.of(url)));
  }

  private ScriptedEngine open(VllmRelease release) throws Exception {
    ScriptedEngine d = before(engine(EngineRole.DECODE, release));
    stage.openProbing(
        List.of(
            pool("p", Role.PREFILL, engine(EngineRole.PREFILL, release).uri()),
            pool("d", Role.DECODE, d.url())),
        Route.of(
                Stage.MODEL,
                dev.millrace.config.Stage.roundRobin("p"),
                dev.millrace.config.Stage.roundRobin("d"))
            .withPairing(Pairing.defaults().withCanary(CanaryRule.OFF)));
    return d;
  }

  private static JsonObject parameters(ScriptedEngine d) {
    return new JsonObject(d.requests().getLast().text()).getJsonObject("kv_transfer_params");
  }

  private static String said(HttpResponse<String> answer) {
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    return new JsonObject(answer.body())
        .getJsonArray("choices")
        .getJsonObject(0)
        .getJsonObject("message")
        .getString("content");
  }

  private String saidByOne(String body) throws Exception {
    URI alone = engine(EngineRole.BOTH, VllmRelease.RECORDED).uri();
    return said(stage.post(alone.resolve(CHAT), body));
  }

  @Test
  void newDecode_getsThePrefillsTokens() throws Exception {
    ScriptedEngine d = open(VllmRelease.RECORDED);

    HttpResponse<String> answer = stage.post(CHAT, TEXT, "x-request-id", "r");

    assertThat(said(answer)).isEqualTo(saidByOne(TEXT));
    assertThat(answer.body()).contains("\"prompt_token_ids\":null");
    assertThat(parameters(d).getJsonArray("prompt_token_ids"))
        .hasSize(new JsonObject(answer.body()).getJsonObject("usage").getInteger("prompt_tokens"));
    assertThat(stage.record("r").getValue("bypass")).isNull();
  }

  @Test
  void chatWithMedia_isRightAllTheSame() throws Exception {
    open(VllmRelease.RECORDED);
    String media =
        BODY.formatted("[{\"type\":\"text\",\"text\":\"Hello\"},{\"type\":\"image_url\"}]");

    assertThat(said(stage.post(CHAT, media))).isEqualTo(saidByOne(media));
  }

  @Test
  void oldDecode_getsTheParametersAsTheyAre() throws Exception {
    ScriptedEngine d = open(new VllmRelease(ConnectorVersion.V2));

    HttpResponse<String> answer =
        stage.post(CHAT, new JsonObject(TEXT).put("return_token_ids", true).encode());

    assertThat(said(answer)).isEqualTo(saidByOne(TEXT));
    assertThat(parameters(d).containsKey("do_remote_prefill")).isTrue();
    assertThat(parameters(d).containsKey("prompt_token_ids")).isFalse();
  }
}
