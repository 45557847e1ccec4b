package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Bypass;
import dev.millrace.config.EngineKind;
import dev.millrace.config.Pool;
import dev.millrace.config.Role;
import dev.millrace.config.Route;
import dev.millrace.config.WorkerAddress;
import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.EngineRole;
import dev.millrace.simulator.SimulatedEngine;
import io.vertx.core.json.JsonObject;
import java.net.URI;
import java.net.http.HttpResponse;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Workers that fail get nothing for a while, as long as there are others. */
final class HealthTest {
  private static final String COMPLETIONS = "/v1/completions";

  /** As by default. */
  private static final int IN_A_ROW = 5;

  private static final long MINUTE_NANOS = 60_000_000_000L;

  @RegisterExtension final Stage stage = new Stage();
  private final AtomicLong passedNanos = new AtomicLong();

  private void open(List<ScriptedEngine> prefill, List<ScriptedEngine> decode) {
    open(prefill, decode, UnaryOperator.identity());
  }

  private void open(
      List<ScriptedEngine> prefill, List<ScriptedEngine> decode, UnaryOperator<Route> tuned) {
    stage.goBy(() -> System.nanoTime() + passedNanos.get());
    stage.open(
        prefill.stream().map(ScriptedEngine::url).toList(),
        decode.stream().map(ScriptedEngine::url).toList(),
        tuned);
  }

  private HttpResponse<String> ask() {
    return stage.post(COMPLETIONS, Scripts.whole());
  }

  private void askFor(int times, int status) {
    for (int i = 0; i < times; i++) {
      HttpResponse<String> answer = ask();
      assertThat(answer.statusCode()).as(answer.body()).isEqualTo(status);
    }
  }

  private JsonObject health(URI worker) {
    return new JsonObject(stage.get(stage.adminUrl("/pd/workers")).body())
        .getJsonArray("workers").stream()
            .map(JsonObject.class::cast)
            .filter(one -> one.getString("url").equals(worker.toString()))
            .findFirst()
            .orElseThrow()
            .getJsonObject("health");
  }

  private boolean measured(String name, ScriptedEngine engine, int value) {
    return stage
        .get(stage.adminUrl("/metrics"))
        .body()
        .contains(
            "millrace_worker_%s{pool=\"p\",worker=\"%s\"} %d\n"
                .formatted(name, engine.url(), value));
  }

  @Test
  void workerThatFails_getsNothingMore() {
    ScriptedEngine bad = stage.engine(Scripts.error(500));
    ScriptedEngine good = stage.engine(Scripts.prefill());
    open(List.of(bad, good), List.of(stage.engine(Scripts.decode())));

    askFor(30, 200);

    assertThat(bad.requests()).hasSize(IN_A_ROW);
    assertThat(health(bad.url()).getString("state")).isEqualTo("ejected");
    assertThat(health(bad.url()).getString("why"))
        .startsWith("5 legs failed in a row; The prefill worker " + bad.url());
    assertThat(health(good.url()).getString("state")).isEqualTo("in_use");
    assertThat(measured("in_use", bad, 0)).isTrue();
    assertThat(measured("in_use", good, 1)).isTrue();
    assertThat(measured("ejections_total", bad, 1)).isTrue();
  }

  @Test
  void workerThatIsWellAgain_isUsedAgainAfterATrial() {
    ScriptedEngine bad = stage.engine(Scripts.error(500));
    ScriptedEngine good = stage.engine(Scripts.prefill());
    open(List.of(bad, good), List.of(stage.engine(Scripts.decode())));
    askFor(10, 200);

    passedNanos.addAndGet(MINUTE_NANOS);
    askFor(10, 200);

    assertThat(bad.requests()).as("one trial, which failed").hasSize(IN_A_ROW + 1);
    assertThat(health(bad.url()).getInteger("ejections")).isEqualTo(2);

    bad.play(Scripts.prefill());
    passedNanos.addAndGet(MINUTE_NANOS);
    askFor(10, 200);

    assertThat(health(bad.url()).getString("state")).isEqualTo("in_use");
    assertThat(bad.requests().size()).isGreaterThanOrEqualTo(IN_A_ROW + 1 + 5);
  }

  /**
   * A request that has got to an engine which has had so many already; others may have to go by.
   */
  private CompletableFuture<HttpResponse<String>> atWorker(ScriptedEngine engine)
      throws InterruptedException {
    int before = engine.requests().size();
    while (true) {
      CompletableFuture<HttpResponse<String>> request = CompletableFuture.supplyAsync(this::ask);
      Stage.await("it is somewhere", () -> request.isDone() || engine.requests().size() > before);
      if (engine.requests().size() > before) {
        return request;
      }
    }
  }

  @Test
  void whileOneExchangeTries_othersGoElsewhere() throws Exception {
    CountDownLatch answered = new CountDownLatch(1);
    ScriptedEngine bad = stage.engine(Scripts.error(500));
    ScriptedEngine good = stage.engine(Scripts.prefill());
    open(List.of(bad, good), List.of(stage.engine(Scripts.decode())));
    askFor(10, 200);
    bad.play((request, wire) -> {
      answered.await();
      Scripts.prefill().play(request, wire);
    });
    passedNanos.addAndGet(MINUTE_NANOS);
    CompletableFuture<HttpResponse<String>> trying = atWorker(bad);

    askFor(10, 200);

    assertThat(bad.requests()).hasSize(IN_A_ROW + 1);
    assertThat(health(bad.url()).getString("state")).isEqualTo("on_trial");
    answered.countDown();
    assertThat(trying.join().statusCode()).isEqualTo(200);
    Stage.await("it is used", () -> health(bad.url()).getString("state").equals("in_use"));
  }

  @Test
  void clientThatLeavesATrial_leavesItToTheNext() throws Exception {
    ScriptedEngine bad = stage.engine(Scripts.error(500));
    ScriptedEngine good = stage.engine(Scripts.prefill());
    open(List.of(bad, good), List.of(stage.engine(Scripts.decode())));
    askFor(10, 200);
    bad.play((request, wire) -> wire.awaitGone());
    passedNanos.addAndGet(MINUTE_NANOS);
    for (int i = 1; i <= 2; i++) {
      int asked = bad.requests().size() + good.requests().size();
      try (RawClient leaving = stage.raw().send(RawClient.post(COMPLETIONS, Scripts.whole()))) {
        Stage.await(
            "it is at a worker", () -> bad.requests().size() + good.requests().size() > asked);
        leaving.reset();
      }
    }
    assertThat(bad.requests()).hasSizeGreaterThan(IN_A_ROW);
    Stage.await("all have left", () -> stage.router().occupancy().isIdle());
    bad.play(Scripts.prefill());

    askFor(4, 200);

    assertThat(health(bad.url()).getString("state")).isEqualTo("in_use");
  }

  @Test
  void lastWorker_isKept() {
    ScriptedEngine bad = stage.engine(Scripts.error(500));
    open(List.of(bad), List.of(stage.engine(Scripts.decode())));

    askFor(20, 500);

    assertThat(bad.requests()).hasSize(20);
    assertThat(health(bad.url()).getString("state")).isEqualTo("in_use");
    assertThat(health(bad.url()).getInteger("withheld")).isPositive();
  }

  private static ScriptedEngine.Script refusing(int status, String headers) {
    return (request, wire) ->
        wire.send(
            "HTTP/1.1 %d Whatever\r\ncontent-type: application/json\r\n%scontent-length: 2\r\n\r\n{}"
                .formatted(status, headers));
  }

  @ParameterizedTest
  @ValueSource(ints = {429, 503})
  void workerThatAsksForAPause_hasItAndIsUsedAgain(int status) {
    ScriptedEngine busy = stage.engine(refusing(status, "retry-after: 30\r\n"));
    ScriptedEngine idle = stage.engine(Scripts.prefill());
    open(List.of(busy, idle), List.of(stage.engine(Scripts.decode())));
    ask();
    askFor(10, 200);

    assertThat(busy.requests()).hasSize(1);
    assertThat(health(busy.url()).getString("state")).isEqualTo("cooling");
    assertThat(health(busy.url()).getInteger("ejections")).isZero();

    busy.play(Scripts.prefill());
    passedNanos.addAndGet(MINUTE_NANOS);
    askFor(4, 200);

    assertThat(health(busy.url()).getString("state")).isEqualTo("in_use");
    assertThat(busy.requests().size()).isGreaterThan(1);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "400 {\"error\":{\"message\":\"no\"}}",
        "404 {}",
        "429 {}",
        "500 {\"message\":\"This model's maximum context length is 4096 tokens.\"}"
      })
  void requestsOwnFault_isNotTheWorkers(String answer) {
    String[] parts = answer.split(" ", 2);
    ScriptedEngine one =
        stage.engine((request, wire) -> wire.answer(Integer.parseInt(parts[0]), parts[1]));
    ScriptedEngine two = stage.engine(Scripts.prefill());
    open(List.of(one, two), List.of(stage.engine(Scripts.decode())));

    for (int i = 0; i < 20; i++) {
      ask();
    }

    assertThat(one.requests()).hasSizeGreaterThanOrEqualTo(10);
    assertThat(health(one.url()).getString("state")).isEqualTo("in_use");
    assertThat(health(one.url()).getInteger("withheld")).isZero();
  }

  /** A decode engine that has no use for blocks. */
  private static ScriptedEngine.Script failingToRead() {
    return Scripts.butForReleases(Scripts.error(500));
  }

  @Test
  void decodeWorkerThatCannotReadBlocks_isAMatterOfThePair() {
    ScriptedEngine d1 = stage.engine(failingToRead());
    ScriptedEngine d2 = stage.engine(Scripts.decode());
    open(
        List.of(stage.engine(Scripts.prefill()), stage.engine(Scripts.prefill())), List.of(d1, d2));

    for (int i = 0; i < 40; i++) {
      ask();
    }

    assertThat(d1.requests().size()).as("three of each pair").isGreaterThanOrEqualTo(6);
    assertThat(health(d1.url()).getString("state")).isEqualTo("in_use");
    assertThat(health(d1.url()).getInteger("ejections")).isZero();
  }

  @Test
  void pairThatBroke_isTriedAgainWhereItsOperatorVouchesForIt() throws Exception {
    ScriptedEngine d = stage.engine(failingToRead());
    open(List.of(stage.engine(Scripts.prefill())), List.of(d));
    askFor(3, 500);
    assertThat(ask().body()).contains("no_fitting_pair");
    d.play(Scripts.decode());

    Stage.await("it is used", () -> ask().statusCode() == 200);
  }

  @Test
  void workerThatWorksAlone_isTakenOutToo() {
    ScriptedEngine bad = stage.engine(Scripts.error(502));
    ScriptedEngine good = stage.engine(Scripts.decode());
    open(
        List.of(stage.engine(Scripts.prefill())),
        List.of(bad, good),
        route -> route.withBypass(Bypass.below(1 << 20)));

    askFor(30, 200);

    assertThat(bad.requests()).hasSize(IN_A_ROW);
    assertThat(health(bad.url()).getString("state")).isEqualTo("ejected");
  }

  @Test
  void workerThatIsSeenToBeGone_costsNoRequestATry() throws Exception {
    SimulatedEngine there = engine();
    SimulatedEngine gone = engine();
    gone.close().await(10, java.util.concurrent.TimeUnit.SECONDS);
    Pool both =
        Pool.of(
            "b",
            Role.BOTH,
            Stage.MODEL,
            EngineKind.MILLRACE_SIM,
            List.of(WorkerAddress.of(gone.uri()), WorkerAddress.of(there.uri())));
    stage.openProbing(
        List.of(both), Route.aggregated(Stage.MODEL, dev.millrace.config.Stage.roundRobin("b")));
    Stage.await("it is missed", () -> health(gone.uri()).getString("state").equals("ejected"));

    for (int i = 0; i < 6; i++) {
      HttpResponse<String> answer =
          stage.post(COMPLETIONS, Scripts.whole(), "x-request-id", "r" + i);
      assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
      assertThat(stage.record("r" + i).getInteger("retries")).isZero();
    }
    assertThat(health(gone.uri()).getString("why")).startsWith("it does not answer");
  }

  private SimulatedEngine engine() throws Exception {
    return stage.simulated(EngineConfig.builder().role(EngineRole.BOTH).model(Stage.MODEL).build());
  }
}
