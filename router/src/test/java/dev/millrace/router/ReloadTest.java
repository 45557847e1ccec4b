package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Complaint;
import dev.millrace.config.Loaded;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.RoutingTables;
import dev.millrace.router.access.Keys;
import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.EngineRole;
import dev.millrace.simulator.Misbehaviour;
import dev.millrace.simulator.SimulatedEngine;
import io.vertx.core.json.JsonObject;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** Changing over to another table while requests are served. */
final class ReloadTest {
  private static final String COMPLETIONS = "/v1/completions";
  private static final String TABLE =
      """
      listen: {port: 0, event-loops: 2}
      admin: {port: 0}
      pools:
        p: {role: prefill, model: tiny, engine: millrace-sim, workers: [{url: "%s"}]}
        d: {role: decode, model: tiny, engine: millrace-sim, workers: [{url: "%s"}]}
      routes:
        - {match: {model: tiny}, prefill: {pool: p}, decode: {pool: d}, verify: trust, limits: {concurrent: 500}}
      """;

  @RegisterExtension final Stage stage = new Stage();
  @TempDir Path folder;
  private final AtomicReference<String> file = new AtomicReference<>("");

  private Loaded read() {
    return RoutingTables.parse(folder.resolve("routes.yaml").toString(), file.get());
  }

  private void open(String text) throws Exception {
    file.set(text);
    switch (read()) {
      case Loaded.Valid(RoutingTable table) -> stage.open(table, this::read);
      case Loaded.Invalid(List<Complaint> complaints) ->
          throw new AssertionError(complaints.toString());
    }
  }

  private static String table(ScriptedEngine p, ScriptedEngine d) {
    return TABLE.formatted(p.url(), d.url());
  }

  private JsonObject reload(int status) {
    HttpResponse<String> answer = stage.post(stage.adminUrl("/pd/reload"), "");
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(status);
    return new JsonObject(answer.body());
  }

  private int ask() {
    return stage.post(COMPLETIONS, Scripts.whole()).statusCode();
  }

  @Test
  void anotherTable_isInForceForWhoeverComesAfter() throws Exception {
    ScriptedEngine p = stage.engine(Scripts.prefill());
    ScriptedEngine before = stage.engine(Scripts.decode());
    ScriptedEngine after = stage.engine(Scripts.decode());
    open(table(p, before));
    assertThat(ask()).isEqualTo(200);

    file.set(table(p, after));
    assertThat(reload(200).getBoolean("reloaded")).isTrue();

    assertThat(ask()).isEqualTo(200);
    assertThat(before.requests()).hasSize(1);
    assertThat(after.requests()).hasSize(1);
    for (String page : List.of("/pd/workers", "/pd/config")) {
      assertThat(stage.get(stage.adminUrl(page)).body())
          .as(page)
          .contains(after.url().toString())
          .doesNotContain(before.url().toString());
    }
  }

  @Test
  void exchangeUnderWay_endsWhereItBegan() throws Exception {
    CountDownLatch answered = new CountDownLatch(1);
    ScriptedEngine p = stage.engine(Scripts.prefill());
    ScriptedEngine slow = stage.engine(Scripts.decodeAfter(answered));
    open(table(p, slow));
    CompletableFuture<Integer> asked = CompletableFuture.supplyAsync(this::ask);
    Stage.await("it is at D", () -> slow.requests().size() == 1);

    file.set(table(p, stage.engine(Scripts.decode())));
    reload(200);
    assertThat(ask()).isEqualTo(200);
    answered.countDown();

    assertThat(asked.join()).isEqualTo(200);
  }

  @Test
  void sameTable_changesNothing() throws Exception {
    open(table(stage.engine(Scripts.prefill()), stage.engine(Scripts.decode())));

    assertThat(reload(200).getBoolean("reloaded")).isFalse();
  }

  @Test
  void tableWithMistakes_staysOutAndEachIsNamed() throws Exception {
    open(table(stage.engine(Scripts.prefill()), stage.engine(Scripts.decode())));
    file.set(file.get().replace("decode: {pool: d}", "decode: {pool: dd}").replace("500", "-5"));

    JsonObject refused = reload(409);

    assertThat(refused.getJsonArray("why").encode())
        .contains("routes.yaml:7:63: routes[0].decode.pool")
        .contains("is -5, must be 1 to 1000000");
    assertThat(ask()).isEqualTo(200);
  }

  @Test
  void whatOnlyAStartCanChange_isSaid() throws Exception {
    open(table(stage.engine(Scripts.prefill()), stage.engine(Scripts.decode())));
    file.set(
        file.get()
            .replace("event-loops: 2", "event-loops: 3")
            .replace("verify: trust", "verify: trust, deadlines: {total: 2h}"));

    assertThat(reload(409).getJsonArray("why").encode())
        .contains("listen: host, port, event-loops and whether there is tls")
        .contains("deadlines.total: 7200 s is longer");
  }

  @Test
  void keys_areReadAnew() throws Exception {
    Path keys = folder.resolve("keys.yaml");
    Files.writeString(keys, "keys: [{name: a, sha256: %s}]".formatted(Keys.hash("one")));
    open(
        table(stage.engine(Scripts.prefill()), stage.engine(Scripts.decode()))
            .replace("port: 0, event", "port: 0, keys-file: keys.yaml, event"));
    assertThat(askWith("one")).isEqualTo(200);
    assertThat(askWith("two")).isEqualTo(401);

    Files.writeString(keys, "keys: [{name: a, sha256: %s}]".formatted(Keys.hash("two")));
    assertThat(reload(200).getBoolean("reloaded")).isTrue();

    assertThat(askWith("one")).isEqualTo(401);
    assertThat(askWith("two")).isEqualTo(200);
    Files.writeString(keys, "keys: 7");
    assertThat(reload(409).encode()).contains("keys cannot be read").contains("keys.yaml:1:7");
    assertThat(askWith("two")).isEqualTo(200);
  }

  @Test
  void workersOfAFile_areReadAnew() throws Exception {
    ScriptedEngine p = stage.engine(Scripts.prefill());
    ScriptedEngine before = stage.engine(Scripts.decode());
    ScriptedEngine after = stage.engine(Scripts.decode());
    Path workers = folder.resolve("workers.yaml");
    Files.writeString(workers, "[{url: \"%s\"}]".formatted(before.url()));
    open(
        table(p, before)
            .replace(
                "workers: [{url: \"%s\"}]".formatted(before.url()), "workers-file: workers.yaml"));
    assertThat(ask()).isEqualTo(200);

    Files.writeString(workers, "[{url: \"%s\"}]".formatted(after.url()));
    assertThat(reload(200).getBoolean("reloaded")).isTrue();

    assertThat(ask()).isEqualTo(200);
    assertThat(before.requests()).hasSize(1);
    assertThat(after.requests()).hasSize(1);
    assertThat(stage.get(stage.adminUrl("/pd/workers")).body())
        .contains("\"url\":\"%s\",\"source\":\"file\"".formatted(after.url()))
        .contains("\"url\":\"%s\",\"source\":\"static\"".formatted(p.url()));

    Files.writeString(workers, "[{url: nowhere}]");

    assertThat(reload(409).getJsonArray("why").encode()).contains("workers.yaml:1:8: [0].url");
    assertThat(ask()).isEqualTo(200);
  }

  @Test
  void poolWithoutWorkers_isAnswered503UntilItHasOne() throws Exception {
    ScriptedEngine d = stage.engine(Scripts.decode());
    Path workers = Files.writeString(folder.resolve("workers.yaml"), "[]");
    open(
        table(stage.engine(Scripts.prefill()), d)
            .replace("workers: [{url: \"%s\"}]".formatted(d.url()), "workers-file: workers.yaml"));
    HttpResponse<String> refused = stage.post(COMPLETIONS, Scripts.whole());
    assertThat(refused.statusCode()).isEqualTo(503);
    assertThat(refused.body()).contains("pool \\\"d\\\" has no worker");
    assertThat(refused.headers().firstValue("retry-after")).isPresent();

    Files.writeString(workers, "[{url: \"%s\"}]".formatted(d.url()));
    reload(200);

    assertThat(ask()).isEqualTo(200);
  }

  private int askWith(String key) {
    return stage.post(COMPLETIONS, Scripts.whole(), "x-api-key", key).statusCode();
  }

  @Test
  void limits_areThoseOfTheNewTable() throws Exception {
    CountDownLatch answered = new CountDownLatch(1);
    ScriptedEngine d = stage.engine(Scripts.decodeAfter(answered));
    open(table(stage.engine(Scripts.prefill()), d).replace("500", "1"));
    CompletableFuture<Integer> first = CompletableFuture.supplyAsync(this::ask);
    Stage.await("the first is at D", () -> d.requests().size() == 1);
    CompletableFuture<Integer> second = CompletableFuture.supplyAsync(this::ask);
    Stage.await(
        "the second waits",
        () ->
            stage
                .get(stage.adminUrl("/metrics"))
                .body()
                .contains("millrace_route_waiting{route=\"tiny\"} 1"));

    file.set(file.get().replace("concurrent: 1", "concurrent: 2"));
    reload(200);

    Stage.await("the second is at D, too", () -> d.requests().size() == 2);
    answered.countDown();
    assertThat(first.join()).isEqualTo(200);
    assertThat(second.join()).isEqualTo(200);
  }

  private SimulatedEngine engine(EngineRole role) throws Exception {
    return stage.simulated(EngineConfig.builder().role(role).model(Stage.MODEL).build());
  }

  private URI simulated(EngineRole role) throws Exception {
    return engine(role).uri();
  }

  /** Pools grow and shrink under requests, of which none fails. */
  @Test
  void reloadsUnderLoad_failNobody() throws Exception {
    List<URI> p = List.of(simulated(EngineRole.PREFILL), simulated(EngineRole.PREFILL));
    List<URI> d = List.of(simulated(EngineRole.DECODE), simulated(EngineRole.DECODE));
    String both =
        TABLE
            .replace("verify: trust, ", "")
            .formatted(
                p.get(0) + "\"}, {url: \"" + p.get(1), d.get(0) + "\"}, {url: \"" + d.get(1));
    String first = TABLE.replace("verify: trust, ", "").formatted(p.get(0), d.get(0));
    String second = TABLE.replace("verify: trust, ", "").formatted(p.get(1), d.get(1));
    open(both);
    stage.router().settled().await(20, TimeUnit.SECONDS);
    stage.whileAsked(
        4,
        COMPLETIONS,
        Scripts.whole(),
        () -> {
          for (String next : List.of(first, second, both, first, both)) {
            file.set(next);
            assertThat(reload(200).getJsonArray("pairs").encode()).doesNotContain(" 0 of ");
          }
        });
  }

  @Test
  void workersThatStay_areNotAskedAnew() throws Exception {
    SimulatedEngine p = engine(EngineRole.PREFILL);
    SimulatedEngine d = engine(EngineRole.DECODE);
    String table = TABLE.replace("verify: trust", "verify: probe").formatted(p.uri(), d.uri());
    open(table);
    stage.router().settled().await(20, TimeUnit.SECONDS);
    p.misbehave(new Misbehaviour.StallBeforeHead());
    d.misbehave(new Misbehaviour.StallBeforeHead());

    file.set(table.replace("500", "400"));

    assertThat(reload(200).getJsonArray("pairs").encode()).contains("1 of 1 pairs usable");
    p.behave();
    d.behave();
    assertThat(ask()).isEqualTo(200);
  }

  @Test
  void reloadThatIsUnderWay_isNotBegunTwice() throws Exception {
    open(table(stage.engine(Scripts.prefill()), stage.engine(Scripts.decode())));
    file.set(table(stage.engine(Scripts.prefill()), stage.engine(Scripts.decode())));
    HttpRequest post =
        HttpRequest.newBuilder(stage.adminUrl("/pd/reload"))
            .POST(HttpRequest.BodyPublishers.noBody())
            .build();

    List<CompletableFuture<HttpResponse<String>>> all = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      all.add(stage.client().sendAsync(post, HttpResponse.BodyHandlers.ofString()));
    }

    for (CompletableFuture<HttpResponse<String>> each : all) {
      assertThat(each.join().statusCode()).isEqualTo(200);
    }
    assertThat(ask()).isEqualTo(200);
  }
}
