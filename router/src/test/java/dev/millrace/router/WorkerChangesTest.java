package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Complaint;
import dev.millrace.config.Loaded;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.RoutingTables;
import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.EngineRole;
import dev.millrace.simulator.Misbehaviour;
import dev.millrace.simulator.SimulatedEngine;
import io.vertx.core.json.JsonObject;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Workers that operators add and remove. */
final class WorkerChangesTest {
  private static final String COMPLETIONS = "/v1/completions";
  private static final String TABLE =
      """
      listen: {port: 0, event-loops: 2}
      admin: {port: 0}
      pools:
        p: {role: prefill, model: tiny, engine: millrace-sim, workers: [{url: "%s", side-channel: "127.0.0.1:5600"}]}
        d: {role: decode, model: tiny, engine: millrace-sim, workers: [{url: "%s"}]}
      routes:
        - {match: {model: tiny}, prefill: {pool: p}, decode: {pool: d}, verify: trust, limits: {concurrent: 500}}
      """;

  @RegisterExtension final Stage stage = new Stage();
  private final AtomicReference<String> file = new AtomicReference<>("");

  private Loaded read() {
    return RoutingTables.parse("routes.yaml", file.get());
  }

  private void open(String text) throws Exception {
    file.set(text);
    switch (read()) {
      case Loaded.Valid(RoutingTable table) -> stage.open(table, this::read);
      case Loaded.Invalid(List<Complaint> complaints) ->
          throw new AssertionError(complaints.toString());
    }
  }

  private void open(ScriptedEngine p, ScriptedEngine d) throws Exception {
    open(TABLE.formatted(p.url(), d.url()));
  }

  private HttpResponse<String> add(String body) {
    return stage.post(stage.adminUrl("/pd/workers"), body);
  }

  private HttpResponse<String> add(String pool, URI url) {
    return add("{\"pool\":\"%s\",\"url\":\"%s\"}".formatted(pool, url));
  }

  private HttpResponse<String> remove(String query) {
    return stage.send(
        HttpRequest.newBuilder(stage.adminUrl("/pd/workers?" + query)).DELETE().build());
  }

  private HttpResponse<String> remove(URI url) {
    return remove("url=" + url);
  }

  private JsonObject page() {
    return new JsonObject(stage.get(stage.adminUrl("/pd/workers")).body());
  }

  private Optional<JsonObject> worker(URI url) {
    return page().getJsonArray("workers").stream()
        .map(JsonObject.class::cast)
        .filter(each -> each.getString("url").equals(url.toString()))
        .findFirst();
  }

  private int ask() {
    return stage.post(COMPLETIONS, Scripts.whole()).statusCode();
  }

  private ScriptedEngine prefill() {
    return stage.engine(Scripts.prefill());
  }

  private ScriptedEngine decode() {
    return stage.engine(Scripts.decode());
  }

  @Test
  void addedWorker_getsRequestsAndIsShownAsAdded() throws Exception {
    ScriptedEngine first = decode();
    ScriptedEngine second = decode();
    open(prefill(), first);

    HttpResponse<String> added = add("d", second.url());

    assertThat(added.statusCode()).as(added.body()).isEqualTo(200);
    JsonObject answer = new JsonObject(added.body());
    assertThat(answer.getJsonArray("workers").getJsonObject(0).getString("source"))
        .isEqualTo("admin");
    assertThat(answer.getJsonArray("pairs").encode()).contains("2 of 2 pairs usable");
    for (int i = 0; i < 4; i++) {
      assertThat(ask()).isEqualTo(200);
    }
    assertThat(first.requests()).hasSize(2);
    assertThat(second.requests()).hasSize(2);
    assertThat(stage.get(stage.adminUrl("/pd/config")).body())
        .contains(
            "\"url\":\"%s\",\"data-parallel-size\":1,\"source\":\"admin\"".formatted(second.url()));
    assertThat(stage.get(stage.adminUrl("/metrics")).body())
        .contains("millrace_pool_workers{pool=\"d\",source=\"admin\"} 1");
  }

  @Test
  void addedWorker_staysWhenTheTableIsReadAnew() throws Exception {
    ScriptedEngine second = decode();
    open(prefill(), decode());
    add("d", second.url());
    ask();
    ask();

    file.set(file.get().replace("500", "400"));
    stage.post(stage.adminUrl("/pd/reload"), "");

    assertThat(worker(second.url()).orElseThrow().getString("source")).isEqualTo("admin");
    assertThat(worker(second.url()).orElseThrow().getInteger("legs")).isEqualTo(1);
  }

  @Test
  void addedWorkerThatTheTableNames_isTheTablesFromThenOn() throws Exception {
    ScriptedEngine first = decode();
    ScriptedEngine second = decode();
    open(prefill(), first);
    String before = file.get();
    add("d", second.url());

    file.set(before.replace("" + first.url(), first.url() + "\"}, {url: \"" + second.url()));
    stage.post(stage.adminUrl("/pd/reload"), "");
    assertThat(worker(second.url()).orElseThrow().getString("source")).isEqualTo("static");

    file.set(before);
    stage.post(stage.adminUrl("/pd/reload"), "");
    assertThat(worker(second.url())).isEmpty();
  }

  @Test
  void removedWorker_endsWhatItHasAndThenIsGone() throws Exception {
    CountDownLatch go = new CountDownLatch(1);
    ScriptedEngine stays = decode();
    ScriptedEngine leaves = stage.engine(Scripts.decodeAfter(go));
    open(prefill(), stays);
    add("d", leaves.url());
    CompletableFuture<Integer> one = CompletableFuture.supplyAsync(this::ask);
    CompletableFuture<Integer> other = CompletableFuture.supplyAsync(this::ask);
    Stage.await("one is at each", () -> leaves.requests().size() + stays.requests().size() == 2);

    HttpResponse<String> removing = remove(leaves.url());

    assertThat(removing.statusCode()).isEqualTo(202);
    JsonObject leaving = worker(leaves.url()).orElseThrow();
    assertThat(leaving.getBoolean("leaving")).isTrue();
    assertThat(leaving.getBoolean("drained")).isFalse();
    for (int i = 0; i < 4; i++) {
      assertThat(ask()).isEqualTo(200);
    }
    assertThat(leaves.requests()).hasSize(1);
    go.countDown();
    assertThat(one.join() + other.join()).isEqualTo(400);
    Stage.await("it has left", () -> worker(leaves.url()).isEmpty());
    assertThat(page().getJsonArray("removed")).isEmpty();
    assertThat(ask()).isEqualTo(200);
  }

  @Test
  void removedWorkerOfTheTable_staysAwayUntilItIsAddedOrNobodyNamesIt() throws Exception {
    ScriptedEngine first = decode();
    open(prefill(), first);
    add("d", decode().url());

    remove(first.url());
    Stage.await("it has left", () -> worker(first.url()).isEmpty());
    file.set(file.get().replace("500", "400"));
    stage.post(stage.adminUrl("/pd/reload"), "");

    assertThat(worker(first.url())).isEmpty();
    assertThat(page().getJsonArray("removed").encode())
        .isEqualTo("[{\"pool\":\"d\",\"url\":\"%s\"}]".formatted(first.url()));

    add("d", first.url());

    assertThat(worker(first.url()).orElseThrow().getString("source")).isEqualTo("static");
    assertThat(page().getJsonArray("removed")).isEmpty();
  }

  @Test
  void lastWorkerMayLeave_andAnotherComes() throws Exception {
    ScriptedEngine first = decode();
    open(prefill(), first);

    remove(first.url());
    Stage.await("it has left", () -> worker(first.url()).isEmpty());
    assertThat(stage.post(COMPLETIONS, Scripts.whole()).body()).contains("has no worker");
    add("d", decode().url());

    assertThat(ask()).isEqualTo(200);
  }

  @Test
  void workerThatIsResumed_doesNotLeave() throws Exception {
    CountDownLatch go = new CountDownLatch(1);
    ScriptedEngine d = stage.engine(Scripts.decodeAfter(go));
    open(prefill(), d);
    CompletableFuture<Integer> asked = CompletableFuture.supplyAsync(this::ask);
    Stage.await("it is at D", () -> d.requests().size() == 1);
    remove(d.url());

    stage.post(stage.adminUrl("/pd/resume?worker=" + d.url()), "");

    Stage.await(
        "it stays", () -> !worker(d.url()).orElseThrow().getBoolean("leaving").booleanValue());
    go.countDown();
    assertThat(asked.join()).isEqualTo(200);
    assertThat(ask()).isEqualTo(200);
  }

  @Test
  void workerThatIsAddedWhileItLeaves_stays() throws Exception {
    CountDownLatch go = new CountDownLatch(1);
    ScriptedEngine d = stage.engine(Scripts.decodeAfter(go));
    open(prefill(), d);
    CompletableFuture<Integer> asked = CompletableFuture.supplyAsync(this::ask);
    Stage.await("it is at D", () -> d.requests().size() == 1);
    remove(d.url());

    HttpResponse<String> added = add("d", d.url());

    assertThat(added.statusCode()).isEqualTo(200);
    assertThat(worker(d.url()).orElseThrow().getBoolean("leaving")).isFalse();
    assertThat(worker(d.url()).orElseThrow().getBoolean("draining")).isFalse();
    go.countDown();
    assertThat(asked.join()).isEqualTo(200);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          {"pool": "d", "url": "nowhere"}                    | 400 | POST /pd/workers:1:22: url: \\"nowhere\\" is not an http(s) URL
          {"pool": "d", "url": "http://a:1", "lable": {}}    | 400 | did you mean \\"labels\\"?
          {"url": "http://a:1"}                              | 400 | \\"pool\\" is missing: the name of the pool
          ''                                                 | 400 | is empty; there is nothing to read
          {"pool": "x", "url": "http://a:1"}                 | 404 | There is no pool \\"x\\"; known: p, d
          {"pool": "d", "url": "TAKEN"}                      | 409 | of pool \\"p\\" (source static) has its address or side channel
          {"pool": "d", "url": "http://a:1", "side-channel": "127.0.0.1:5600"} | 409 | DELETE /pd/workers?url=
          """)
  void workerThatCannotBeAdded_isRefusedWithTheReason(String body, int status, String why)
      throws Exception {
    ScriptedEngine p = prefill();
    open(p, decode());

    HttpResponse<String> refused = add(body.replace("TAKEN", "" + p.url()));

    assertThat(refused.statusCode()).as(refused.body()).isEqualTo(status);
    assertThat(refused.body()).contains(why);
    assertThat(page().getJsonArray("workers")).hasSize(2);
  }

  @Test
  void hugeBody_isRefused() throws Exception {
    open(prefill(), decode());

    assertThat(add(" ".repeat(100_000)).statusCode()).isEqualTo(413);
  }

  @ParameterizedTest
  @CsvSource({"url=http://127.0.0.1:1", "x=1", "url=TAKEN&pool=d"})
  void unknownWorker_cannotBeRemoved(String query) throws Exception {
    ScriptedEngine p = prefill();
    open(p, decode());

    HttpResponse<String> refused = remove(query.replace("TAKEN", "" + p.url()));

    assertThat(refused.statusCode()).isEqualTo(404);
    assertThat(refused.body()).contains("unknown_worker").contains("GET /pd/workers");
  }

  private SimulatedEngine engine(EngineRole role) throws Exception {
    return stage.simulated(EngineConfig.builder().role(role).model(Stage.MODEL).build());
  }

  private static String probing(URI p, URI d) {
    return TABLE
        .replace("verify: trust", "verify: probe, canary: always")
        .replace(", side-channel: \"127.0.0.1:5600\"", "")
        .formatted(p, d);
  }

  @Test
  void addedWorker_isTriedOutBeforeItGetsARequest() throws Exception {
    SimulatedEngine p = engine(EngineRole.PREFILL);
    SimulatedEngine d = engine(EngineRole.DECODE);
    SimulatedEngine bad = engine(EngineRole.DECODE);
    bad.misbehave(new Misbehaviour.CorruptByte());
    open(probing(p.uri(), d.uri()));
    stage.router().settled().await(20, TimeUnit.SECONDS);

    HttpResponse<String> added = add("d", bad.uri());

    assertThat(added.body()).contains("1 of 2 pairs usable");
    for (int i = 0; i < 4; i++) {
      assertThat(ask()).isEqualTo(200);
    }
    assertThat(worker(bad.uri()).orElseThrow().getInteger("legs")).isZero();
  }

  /** Workers come and go under requests of twenty clients, of which none fails. */
  @Test
  void changesUnderLoad_failNobody() throws Exception {
    SimulatedEngine p = engine(EngineRole.PREFILL);
    SimulatedEngine d = engine(EngineRole.DECODE);
    List<SimulatedEngine> others =
        List.of(engine(EngineRole.PREFILL), engine(EngineRole.DECODE), engine(EngineRole.DECODE));
    open(probing(p.uri(), d.uri()));
    stage.router().settled().await(20, TimeUnit.SECONDS);
    stage.whileAsked(
        20,
        COMPLETIONS,
        Scripts.whole(),
        () -> {
          for (int round = 0; round < 3; round++) {
            for (SimulatedEngine each : others) {
              HttpResponse<String> added = add(each == others.getFirst() ? "p" : "d", each.uri());
              assertThat(added.statusCode()).as(added.body()).isEqualTo(200);
            }
            for (SimulatedEngine each : others) {
              assertThat(remove(each.uri()).statusCode()).isEqualTo(202);
              Stage.await("it has left", () -> worker(each.uri()).isEmpty());
            }
          }
        });
  }
}
