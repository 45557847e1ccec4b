package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Complaint;
import dev.millrace.config.Loaded;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.RoutingTables;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.net.http.HttpResponse;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** Workers that a name server knows. */
final class DiscoveryTest {
  private static final String COMPLETIONS = "/v1/completions";
  private static final String SERVICES = "_http._tcp.d.svc";

  @RegisterExtension final Stage stage = new Stage();
  private final FakeNameServer names = new FakeNameServer();
  private final ScriptedEngine p = ScriptedEngine.playing(Scripts.prefill());
  private final AtomicReference<String> file = new AtomicReference<>("");

  DiscoveryTest() throws IOException {
    stage.closing(p);
  }

  @AfterEach
  void end() {
    names.close();
  }

  private Loaded read() {
    return RoutingTables.parse("routes.yaml", file.get());
  }

  /** Opens a router whose decode workers are those of a name. */
  private void open(String question) throws Exception {
    file.set(
        """
        listen: {port: 0, event-loops: 2}
        admin: {port: 0}
        pools:
          p: {role: prefill, model: tiny, engine: millrace-sim, workers: [{url: "%s"}]}
          d: {role: decode, model: tiny, engine: millrace-sim, workers-dns: {%s, server: "%s"}}
        routes:
          - {match: {model: tiny}, prefill: {pool: p}, decode: {pool: d}, verify: trust}
        """
            .formatted(p.url(), question, names.address()));
    switch (read()) {
      case Loaded.Valid(RoutingTable table) -> stage.open(table, this::read);
      case Loaded.Invalid(List<Complaint> complaints) ->
          throw new AssertionError(complaints.toString());
    }
  }

  private void openServices() throws Exception {
    open("name: %s, type: SRV, every: 24h".formatted(SERVICES));
  }

  private ScriptedEngine decode() {
    return stage.engine(Scripts.decode());
  }

  /** The hosts of engines that answer at different ports of one address. */
  private void knows(ScriptedEngine... engines) {
    String[] services = new String[engines.length];
    for (int i = 0; i < engines.length; i++) {
      services[i] = "h%d.svc:%d".formatted(i, engines[i].url().getPort());
      names.knows("h%d.svc".formatted(i), "127.0.0.1");
    }
    names.knowsServices(SERVICES, services);
  }

  private HttpResponse<String> ask() {
    return stage.post(COMPLETIONS, Scripts.whole());
  }

  private JsonObject reload() {
    HttpResponse<String> answer = stage.post(stage.adminUrl("/pd/reload"), "");
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    return new JsonObject(answer.body());
  }

  private String page(String path) {
    return stage.get(stage.adminUrl(path)).body();
  }

  private JsonObject worker(ScriptedEngine engine) {
    return new JsonObject(page("/pd/workers"))
        .getJsonArray("workers").stream()
            .map(JsonObject.class::cast)
            .filter(each -> each.getString("url").equals(engine.url().toString()))
            .findFirst()
            .orElseThrow();
  }

  @Test
  void services_areWorkersFromTheStart() throws Exception {
    ScriptedEngine one = decode();
    ScriptedEngine two = decode();
    knows(one, two);
    openServices();

    for (int i = 0; i < 4; i++) {
      assertThat(ask().statusCode()).isEqualTo(200);
    }

    assertThat(one.requests()).hasSize(2);
    assertThat(two.requests()).hasSize(2);
    assertThat(page("/pd/workers"))
        .contains("\"url\":\"%s\",\"source\":\"dns\"".formatted(one.url()));
    assertThat(page("/pd/config"))
        .contains("\"name\":\"%s\"".formatted(SERVICES))
        .contains("\"source\":\"dns\"");
    assertThat(page("/metrics")).contains("millrace_pool_workers{pool=\"d\",source=\"dns\"} 2");
  }

  @Test
  void addresses_areWorkersAtTheQuestionsPort() throws Exception {
    ScriptedEngine one = decode();
    names.knows("d.svc", "127.0.0.1", "::1");
    open("name: d.svc, port: %d, side-channel-port: 5600".formatted(one.url().getPort()));

    assertThat(ask().statusCode()).isEqualTo(200);

    assertThat(page("/pd/config"))
        .contains("\"url\":\"%s\",\"side-channel\":\"127.0.0.1:5600\"".formatted(one.url()))
        .doesNotContain("0:0:1]");
  }

  @Test
  void anotherAnswer_isTakenOverWithoutBeingAskedFor() throws Exception {
    ScriptedEngine before = decode();
    ScriptedEngine after = decode();
    knows(before);
    open("name: %s, type: SRV, every: 1s".formatted(SERVICES));
    assertThat(ask().statusCode()).isEqualTo(200);

    knows(after);

    Stage.await("the new worker is there", () -> page("/pd/workers").contains("" + after.url()));
    assertThat(page("/pd/workers")).doesNotContain("" + before.url());
    assertThat(ask().statusCode()).isEqualTo(200);
    assertThat(before.requests()).hasSize(1);
    assertThat(after.requests()).hasSize(1);
  }

  @Test
  void workerThatStays_keepsWhatIsCountedOfIt() throws Exception {
    ScriptedEngine stays = decode();
    knows(stays);
    openServices();
    ask();

    knows(stays, decode());
    assertThat(reload().getBoolean("reloaded")).isTrue();

    assertThat(worker(stays).getInteger("legs")).isEqualTo(1);
  }

  @Test
  void nameThatIsUnknownAtTheStart_isAnswered503UntilItIsKnown() throws Exception {
    openServices();
    HttpResponse<String> refused = ask();
    assertThat(refused.statusCode()).isEqualTo(503);
    assertThat(refused.body()).contains("pool \\\"d\\\" has no worker");
    assertThat(stage.router().poolsWithoutWorkers()).containsExactly("d");
    assertThat(page("/metrics"))
        .contains(
            "millrace_dns_lookups_total{name=\"%s\",type=\"SRV\",outcome=\"failed\"} 1"
                .formatted(SERVICES));

    knows(decode());
    reload();

    assertThat(ask().statusCode()).isEqualTo(200);
  }

  @Test
  void answerThatNamesNobody_keepsWhomItHadNamed() throws Exception {
    knows(decode());
    openServices();

    names.knowsServices(SERVICES);
    assertThat(reload().getBoolean("reloaded")).isFalse();
    assertThat(ask().statusCode()).isEqualTo(200);

    names.forget(SERVICES);
    assertThat(reload().getBoolean("reloaded")).isFalse();
    assertThat(ask().statusCode()).isEqualTo(200);

    names.beSilent(true);
    assertThat(reload().getBoolean("reloaded")).isFalse();
    assertThat(ask().statusCode()).isEqualTo(200);
    assertThat(page("/metrics"))
        .contains("outcome=\"answered\"} 1")
        .contains("outcome=\"empty\"} 1")
        .contains("outcome=\"failed\"} 2");
  }

  @Test
  void hostThatIsGoneBeforeItsService_isLeftOut() throws Exception {
    ScriptedEngine one = decode();
    ScriptedEngine two = decode();
    knows(one, two);
    names.forget("h1.svc");
    openServices();

    assertThat(page("/pd/workers")).contains("" + one.url()).doesNotContain("" + two.url());
  }

  @Test
  void workerThatTheTableLists_isNotAddedOnceMore() throws Exception {
    names.knows("d.svc", "127.0.0.1");
    open("name: d.svc, port: %d".formatted(p.url().getPort()));

    assertThat(stage.router().poolsWithoutWorkers()).containsExactly("d");
  }

  @Test
  void workerThatTheTableListsInstead_isTheSameAndItsNameIsForgotten() throws Exception {
    ScriptedEngine d = decode();
    knows(d);
    openServices();
    ask();
    file.set(
        file.get().replaceAll("workers-dns: .*}}", "workers: [{url: \"%s\"}]}".formatted(d.url())));
    reload();
    int asked = names.asked();

    reload();

    assertThat(names.asked()).isEqualTo(asked);
    assertThat(worker(d).getString("source")).isEqualTo("static");
    assertThat(worker(d).getInteger("legs")).isEqualTo(1);
    assertThat(page("/metrics")).doesNotContain("millrace_dns_lookups_total{");
  }
}
