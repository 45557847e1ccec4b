package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Complaint;
import dev.millrace.config.Loaded;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.RoutingTables;
import dev.millrace.router.access.Keys;
import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.EngineRole;
import io.vertx.core.json.JsonObject;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Responses that are asked for again, or gone on from, at the worker that keeps them. */
final class KeptResponsesTest {
  private static final String RESPONSES = "/v1/responses";

  /** Another's key may ask for one of the models. */
  private static final String KEYS =
      "keys: [{name: one, sha256: %s, tokens-per-minute: 100000}, {name: two, sha256: %s, models: [tiny]}]"
          .formatted(Keys.hash("k1"), Keys.hash("k2"));

  @RegisterExtension final Stage stage = new Stage();
  @TempDir Path folder;
  private final AtomicReference<String> file = new AtomicReference<>("");
  private int asked;

  private Loaded read() {
    return RoutingTables.parse(folder.resolve("routes.yaml").toString(), file.get());
  }

  private static String table(URI p, String workers) {
    return """
    listen: {port: 0, event-loops: 2, keys-file: keys.yaml}
    admin: {port: 0}
    pools:
      p: {role: prefill, model: tiny, engine: millrace-sim, workers: [{url: "%s"}]}
      d: {role: decode, model: tiny, engine: millrace-sim, workers: [%s]}
    routes:
      - {match: {model: tiny}, prefill: {pool: p}, decode: {pool: d, policy: round-robin}, verify: trust}
      - {match: {model: small}, served-model-name: tiny, prefill: {pool: p}, decode: {pool: d, policy: round-robin}, verify: trust}
    """
        .formatted(p, workers);
  }

  private void open(URI p, URI... decode) throws Exception {
    Files.writeString(folder.resolve("keys.yaml"), KEYS);
    file.set(table(p, workers(decode)));
    switch (read()) {
      case Loaded.Valid(RoutingTable table) -> stage.open(table, this::read);
      case Loaded.Invalid(List<Complaint> complaints) ->
          throw new AssertionError(complaints.toString());
    }
  }

  private static String workers(URI... urls) {
    List<String> listed = new ArrayList<>();
    for (URI url : urls) {
      listed.add("{url: \"%s\"}".formatted(url));
    }
    return String.join(", ", listed);
  }

  private URI simulated(EngineRole role) throws Exception {
    return stage
        .simulated(EngineConfig.builder().role(role).model(Stage.MODEL).plain(true).build())
        .uri();
  }

  /** Two decode workers, of which each knows what it has made itself. */
  private List<URI> openSimulated() throws Exception {
    List<URI> decode = List.of(simulated(EngineRole.DECODE), simulated(EngineRole.DECODE));
    open(simulated(EngineRole.PREFILL), decode.getFirst(), decode.getLast());
    return decode;
  }

  /** What came of a request, and on which worker. */
  private record Came(HttpResponse<String> answer, JsonObject record) {
    String id() {
      int at = answer.body().indexOf("\"id\":\"resp_") + 6;
      return answer.body().substring(at, answer.body().indexOf('"', at));
    }

    String worker() {
      return record.getString("decode");
    }

    Came ok() {
      assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
      return this;
    }

    void isNotFound() {
      assertThat(answer.statusCode()).as(answer.body()).isEqualTo(404);
      assertThat(answer.body()).contains("\"code\":\"response_not_found\"");
      assertThat(worker()).isNull();
    }
  }

  private Came send(String method, String path, String body, String key) {
    String id = "r" + asked++;
    HttpResponse<String> answer =
        stage.send(
            HttpRequest.newBuilder(stage.url(path))
                .timeout(Stage.GENEROUS)
                .header("x-api-key", key)
                .header("x-request-id", id)
                .header("content-type", "application/json")
                .method(
                    method,
                    body.isEmpty()
                        ? HttpRequest.BodyPublishers.noBody()
                        : HttpRequest.BodyPublishers.ofString(body))
                .build());
    return new Came(answer, stage.record(id));
  }

  private Came ask(String members) {
    String body =
        "{\"model\":\"tiny\",\"input\":\"Why?\",\"max_output_tokens\":3%s}".formatted(members);
    return send("POST", RESPONSES, body, "k1");
  }

  private Came get(String id) {
    return send("GET", RESPONSES + "/" + id, "", "k1");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", ",\"stream\":true", ",\"store\":true,\"stream\":false"})
  void responses_areFoundAgainWhereTheyWereMade(String members) throws Exception {
    openSimulated();
    Set<String> makers = new HashSet<>();
    for (int i = 0; i < 10; i++) {
      Came made = ask(members).ok();

      Came got = get(made.id()).ok();

      assertThat(got.worker()).isEqualTo(made.worker());
      assertThat(got.record().getString("bypass")).contains("is kept there");
      assertThat(got.record().getString("path")).isEqualTo(RESPONSES + "/" + made.id());
      assertThat(got.record().getString("prefill")).isNull();
      assertThat(got.record().getValue("tokens")).as("nothing is generated").isNull();
      JsonObject response = new JsonObject(got.answer().body());
      assertThat(response.getString("id")).isEqualTo(made.id());
      assertThat(response.getValue("kv_transfer_params")).isNull();
      if (!members.contains("\"stream\":true")) {
        assertThat(got.answer().body()).isEqualTo(made.answer().body());
      }
      makers.add(made.worker());
    }
    assertThat(makers).hasSize(2);
  }

  @Test
  void previousResponse_isGoneOnFromWhereItWasMade() throws Exception {
    openSimulated();
    for (int i = 0; i < 10; i++) {
      Came first = ask("").ok();
      Came second = ask(",\"previous_response_id\":\"%s\"".formatted(first.id())).ok();
      Came third =
          ask(",\"stream\":true,\"previous_response_id\":\"%s\"".formatted(second.id())).ok();

      assertThat(List.of(second.worker(), third.worker())).containsOnly(first.worker());
      assertThat(second.record().getString("bypass")).contains("is kept there");
      assertThat(inputTokens(second)).isGreaterThan(inputTokens(first));
    }
  }

  private static int inputTokens(Came response) {
    return new JsonObject(response.answer().body())
        .getJsonObject("usage")
        .getInteger("input_tokens");
  }

  @Test
  void previousResponseThatNobodyKnows_isForTheEngineToRefuse() throws Exception {
    openSimulated();

    Came refused = ask(",\"previous_response_id\":\"resp_0\"");

    assertThat(refused.answer().statusCode()).isEqualTo(404);
    assertThat(refused.answer().body()).contains("Response with id 'resp_0' not found.");
    assertThat(refused.record().getString("bypass")).isEqualTo("previous_response_id");
  }

  @Test
  void responseOfAnotherCaller_isThereForNobodyElse() throws Exception {
    openSimulated();
    String id = ask("").ok().id();
    String goingOn =
        "{\"model\":\"tiny\",\"input\":\"a\",\"previous_response_id\":\"%s\"}".formatted(id);

    send("GET", RESPONSES + "/" + id, "", "k2").isNotFound();
    send("POST", RESPONSES + "/" + id + "/cancel", "{}", "k2").isNotFound();
    send("POST", RESPONSES, goingOn, "k2").isNotFound();

    send("POST", RESPONSES, goingOn, "k1").ok();
    assertThat(stage.get(stage.url(RESPONSES + "/" + id)).statusCode()).isEqualTo(401);
  }

  @Test
  void responseOfAModelThatIsNotAllowedAnyMore_isNotThere() throws Exception {
    openSimulated();
    String id = ask("").ok().id();

    Files.writeString(
        folder.resolve("keys.yaml"), KEYS.replace("tokens-per-minute: 100000", "models: [other]"));
    stage.post(stage.adminUrl("/pd/reload"), "");

    get(id).isNotFound();
  }

  @Test
  void responseThatIsNotStored_isNotAskedFor() throws Exception {
    openSimulated();

    get(ask(",\"store\":false").ok().id()).isNotFound();
    get(ask(",\"store\":null,\"stream\":true").ok().id()).isNotFound();
  }

  @Test
  void responseOfAWorkerThatIsGone_isNotThere() throws Exception {
    List<URI> decode = openSimulated();
    Came made = ask("").ok();
    Came other = ask("").ok();
    URI stays = URI.create(other.worker());
    assertThat(other.worker()).isNotEqualTo(made.worker());

    file.set(file.get().replace(workers(decode.getFirst(), decode.getLast()), workers(stays)));
    assertThat(stage.post(stage.adminUrl("/pd/reload"), "").statusCode()).isEqualTo(200);

    get(made.id()).isNotFound();
    get(other.id()).ok();
    Came goingOn = ask(",\"previous_response_id\":\"%s\"".formatted(made.id()));
    assertThat(goingOn.answer().body()).contains("not found.");
    assertThat(goingOn.worker()).isEqualTo(other.worker());
  }

  @Test
  void workerThatIsDrained_showsWhatItKeepsAndGetsNothingNew() throws Exception {
    openSimulated();
    Came made = ask("").ok();

    stage.post(stage.adminUrl("/pd/drain?worker=" + made.worker()), "");

    get(made.id()).ok();
    assertThat(ask(",\"previous_response_id\":\"%s\"".formatted(made.id())).worker())
        .isNotNull()
        .isNotEqualTo(made.worker());
  }

  @Test
  void responseThatWasNotMadeInTheBackground_isTheEnginesToRefuseToCancel() throws Exception {
    openSimulated();
    Came made = ask("").ok();

    Came cancelled = send("POST", RESPONSES + "/" + made.id() + "/cancel", "{}", "k1");

    assertThat(cancelled.answer().statusCode()).isEqualTo(400);
    assertThat(cancelled.answer().body()).contains("Cannot cancel a synchronous response.");
    assertThat(cancelled.worker()).isEqualTo(made.worker());
  }

  @Test
  void aliasOfAModel_isWhatAResponseHas() throws Exception {
    openSimulated();
    Came made =
        send(
                "POST",
                RESPONSES,
                "{\"model\":\"small\",\"input\":\"a\",\"max_output_tokens\":2}",
                "k1")
            .ok();

    Came got = get(made.id()).ok();

    assertThat(got.answer().body()).contains("\"model\":\"small\"").isEqualTo(made.answer().body());
    assertThat(got.record().getString("asked_as")).isEqualTo("tiny");
  }

  @Test
  void previousResponse_isGoneOnFromOnItsBranchOfASplitRoute() throws Exception {
    Pooled pooled = new Pooled(stage);
    pooled.with("a", "m", making("resp_a")).with("b", "m", making("resp_b"));
    pooled.open(
        "match: {model: m}, decode: {pool: a}, split: {weight: 1, branches: [{name: b, weight: 1, decode: {pool: b}}]}");
    for (int i = 0; i < 30; i++) {
      pooled.ask(RESPONSES, "m", "x-request-id", "r" + i);
    }
    int before = pooled.engine("a").requests().size();
    assertThat(before).isBetween(1, 29);

    for (int i = 0; i < 30; i++) {
      stage.post(
          RESPONSES,
          "{\"model\":\"m\",\"previous_response_id\":\"resp_a\"}",
          "x-request-id",
          "r" + i);
    }

    assertThat(pooled.engine("a").requests()).hasSize(before + 30);
  }

  private static ScriptedEngine.Script making(String id) {
    return Scripts.butForReleases((request, wire) -> wire.answer(200, "{\"id\":\"" + id + "\"}"));
  }

  private ScriptedEngine engineMaking(String id) {
    return stage.engine(making(id));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "/v1/responses/resp_2",
        "/v1/responses/a%2Fb",
        "/v1/responses/cancel",
        "/v1/responses/resp%5F1",
        "/v1/responses/..%2Fmodels",
        "/v1/responses/resp_1%0d%0ax:%20y",
      })
  void anythingButAKnownId_isNotAskedForAnywhere(String path) throws Exception {
    ScriptedEngine d = engineMaking("a/b");
    open(stage.engine(Scripts.prefill()).url(), d.url());
    ask("").ok();
    int before = d.requests().size();

    send("GET", path, "", "k1").isNotFound();

    assertThat(d.requests()).hasSize(before);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "/v1/responses/",
        "/v1/responses//",
        "/v1/responses//cancel",
        "/v1/responses/a/b",
        "/v1/responses/../models",
        "/v1/responses/resp_1/input_items",
        "/v1/responses/resp_1/cancel/",
      })
  void otherPathsOfAResponse_leadNowhere(String path) throws Exception {
    ScriptedEngine d = engineMaking("a/b");
    open(stage.engine(Scripts.prefill()).url(), d.url());
    ask("").ok();

    HttpResponse<String> answer = stage.get(stage.url(path));

    assertThat(answer.statusCode()).isEqualTo(404);
    assertThat(answer.body()).contains("\"code\":\"unknown_path\"");
    assertThat(d.requests()).hasSize(1);
  }

  @Test
  void query_passesAsFarAsEnginesLookAtIt() throws Exception {
    ScriptedEngine d = engineMaking("resp_1");
    open(stage.engine(Scripts.prefill()).url(), d.url());
    ask("").ok();

    get("resp_1?stream=false&include[]=x&starting_after=3&stream=a/b&x=y").ok();

    ScriptedEngine.Request got = d.requests().getLast();
    assertThat(got.head())
        .startsWith("GET /v1/responses/resp_1?stream=false&starting_after=3 HTTP/1.1\r\n")
        .doesNotContain("k1");
    assertThat(got.text()).isEmpty();
  }

  @Test
  void streamOfAResponse_isPassedOn() throws Exception {
    ScriptedEngine d = engineMaking("resp_1");
    open(stage.engine(Scripts.prefill()).url(), d.url());
    ask("").ok();
    String delta =
        "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\"}\n\n";
    d.play((request, wire) -> wire.streamHead().chunk(delta).chunk(delta).endChunks());

    Came got = get("resp_1?stream=true").ok();

    assertThat(got.answer().body()).isEqualTo(delta + delta);
    assertThat(got.record().getString("ending")).isEqualTo("Streamed");
  }

  @Test
  void responseThatHasFailed_isShownWithoutParameters() throws Exception {
    ScriptedEngine d = engineMaking("resp_1");
    open(stage.engine(Scripts.prefill()).url(), d.url());
    ask(",\"background\":true").ok();
    d.play((request, wire) ->
        wire.answer(
            200, "{\"id\":\"resp_1\",\"status\":\"failed\",\"kv_transfer_params\":{\"x\":1}}"));

    Came got = get("resp_1").ok();

    assertThat(got.answer().body()).isEqualTo("{\"id\":\"resp_1\",\"status\":\"failed\"}");
  }

  @Test
  void workerThatIsDown_isNotReplacedByAnother() throws Exception {
    ScriptedEngine one = engineMaking("resp_1");
    ScriptedEngine two = engineMaking("resp_2");
    open(stage.engine(Scripts.prefill()).url(), one.url(), two.url());
    ask("").ok();
    ask("").ok();
    one.close();

    Came got = get("resp_1");

    assertThat(got.answer().statusCode()).as(got.answer().body()).isGreaterThanOrEqualTo(502);
    assertThat(two.requests()).noneMatch(request -> request.head().startsWith("GET"));
    get("resp_2").ok();
  }

  @Test
  void otherMethods_areRefused() throws Exception {
    openSimulated();

    HttpResponse<String> deleted =
        stage.send(HttpRequest.newBuilder(stage.url("/v1/responses/resp_1")).DELETE().build());
    HttpResponse<String> got = stage.get(stage.url("/v1/responses/resp_1/cancel"));

    assertThat(deleted.statusCode()).isEqualTo(405);
    assertThat(deleted.headers().firstValue("allow")).hasValue("GET, OPTIONS");
    assertThat(got.statusCode()).isEqualTo(405);
    assertThat(got.headers().firstValue("allow")).hasValue("POST, OPTIONS");
  }
}
