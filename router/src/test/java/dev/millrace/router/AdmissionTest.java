package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Limits;
import io.vertx.core.json.JsonObject;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Who gets in, who waits, and who is told to come back. */
final class AdmissionTest {
  private static final String COMPLETIONS = "/v1/completions";

  @RegisterExtension final Stage stage = new Stage();
  private final CountDownLatch answered = new CountDownLatch(1);

  /** Answers nothing before it is told to. */
  private ScriptedEngine slow() {
    return stage.engine(Scripts.decodeAfter(answered));
  }

  private void open(
      ScriptedEngine p, ScriptedEngine d, int concurrent, int waiting, Duration wait) {
    stage.open(
        List.of(p.url()),
        List.of(d.url()),
        route -> route.withLimits(new Limits(concurrent, waiting, wait)));
  }

  private CompletableFuture<HttpResponse<String>> later() {
    return stage
        .client()
        .sendAsync(
            HttpRequest.newBuilder(stage.url(COMPLETIONS))
                .header("content-type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(Scripts.whole()))
                .build(),
            HttpResponse.BodyHandlers.ofString());
  }

  @Test
  void routeIsFull_theNextWaitsAndTheOneAfterItIsRefused() throws Exception {
    ScriptedEngine p = stage.engine(Scripts.prefill());
    ScriptedEngine d = slow();
    open(p, d, 1, 1, Duration.ofMinutes(1));
    CompletableFuture<HttpResponse<String>> first = later();
    Stage.await("the first is at D", () -> d.requests().size() == 1);
    CompletableFuture<HttpResponse<String>> second = later();
    Stage.await("the second waits", () -> stage.counted("waiting", 1));

    HttpResponse<String> third = stage.post(COMPLETIONS, Scripts.whole());

    assertThat(third.statusCode()).isEqualTo(503);
    assertThat(third.headers().firstValue("retry-after")).hasValue("1");
    assertThat(new JsonObject(third.body()).getJsonObject("error").getString("code"))
        .isEqualTo("overloaded");
    assertThat(p.requests()).as("no prompt is computed that waits").hasSize(1);
    assertThat(stage.counted("refused_total", 1)).isTrue();

    answered.countDown();
    assertThat(first.join().statusCode()).isEqualTo(200);
    assertThat(second.join().statusCode()).isEqualTo(200);
    Stage.await("all places are free", () -> stage.counted("exchanges", 0));
  }

  @Test
  void whoeverWaitsTooLong_isRefused() throws Exception {
    ScriptedEngine d = slow();
    open(stage.engine(Scripts.prefill()), d, 1, 5, Duration.ofMillis(50));
    CompletableFuture<HttpResponse<String>> first = later();
    Stage.await("the first is at D", () -> d.requests().size() == 1);

    HttpResponse<String> second = stage.post(COMPLETIONS, Scripts.whole());

    assertThat(second.statusCode()).isEqualTo(503);
    assertThat(second.body()).contains("No place became free within 50 ms");
    answered.countDown();
    assertThat(first.join().statusCode()).isEqualTo(200);
  }

  @Test
  void clientLeavesTheQueue_nobodyIsKeptOut() throws Exception {
    ScriptedEngine p = stage.engine(Scripts.prefill());
    ScriptedEngine d = slow();
    open(p, d, 1, 5, Duration.ofMinutes(1));
    CompletableFuture<HttpResponse<String>> first = later();
    Stage.await("the first is at D", () -> d.requests().size() == 1);
    RawClient leaving = stage.raw().send(RawClient.post(COMPLETIONS, Scripts.whole()));
    Stage.await("the second waits", () -> stage.counted("waiting", 1));

    leaving.reset();

    Stage.await("the queue is empty", () -> stage.counted("waiting", 0));
    answered.countDown();
    assertThat(first.join().statusCode()).isEqualTo(200);
    assertThat(stage.post(COMPLETIONS, Scripts.whole()).statusCode()).isEqualTo(200);
    assertThat(p.requests()).hasSize(2);
  }

  private void openWithRates(ScriptedEngine d, OptionalInt requests, OptionalInt tokens) {
    long start = System.nanoTime();
    stage.goBy(() -> start);
    stage.open(
        List.of(stage.engine(Scripts.prefill()).url()),
        List.of(d.url()),
        route -> route.withLimits(new Limits(100, 100, Duration.ofSeconds(1), requests, tokens)));
  }

  private static void assertOverloaded(HttpResponse<String> answer, String what, String seconds) {
    assertThat(answer.statusCode()).isEqualTo(503);
    assertThat(answer.body()).contains("\"overloaded\"").contains("as many " + what);
    assertThat(answer.headers().firstValue("retry-after")).hasValue(seconds);
  }

  @Test
  void moreRequestsThanTheRouteTakesInAMinute_areToldWhenToComeBack() {
    openWithRates(stage.engine(Scripts.decode()), OptionalInt.of(12), OptionalInt.empty());
    assertThat(stage.post(COMPLETIONS, Scripts.whole()).statusCode()).isEqualTo(200);
    assertThat(stage.post(COMPLETIONS, Scripts.whole()).statusCode()).isEqualTo(200);

    assertOverloaded(stage.post(COMPLETIONS, Scripts.whole()), "requests", "5");
    assertThat(stage.counted("refused_total", 1)).isTrue();
  }

  @Test
  void moreTokensThanTheRouteTakesInAMinute_areToldWhenToComeBack() {
    ScriptedEngine d =
        stage.engine((request, wire) ->
            wire.answer(
                200, "{\"choices\":[],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":40}}"));
    openWithRates(d, OptionalInt.empty(), OptionalInt.of(100));
    String most = Scripts.whole().replace("\"max_tokens\":3", "\"max_tokens\":90");
    assertThat(stage.post(COMPLETIONS, most, "x-request-id", "r").statusCode()).isEqualTo(200);

    assertThat(stage.record("r").getJsonObject("tokens").getLong("used")).isEqualTo(60);
    assertOverloaded(stage.post(COMPLETIONS, most), "tokens", "31");
    String few = Scripts.whole();
    assertThat(stage.post(COMPLETIONS, few).statusCode()).as("40 are left").isEqualTo(200);
  }

  @Test
  void requestForTokensWithoutEnd_keepsOthersOutNoLongerThanAMinute() throws Exception {
    ScriptedEngine d = slow();
    openWithRates(d, OptionalInt.empty(), OptionalInt.of(100));
    String endless = Scripts.whole().replace("\"max_tokens\":3", "\"max_tokens\":900000000");
    CompletableFuture<HttpResponse<String>> first =
        CompletableFuture.supplyAsync(() -> stage.post(COMPLETIONS, endless));
    Stage.await("it is at D", () -> d.requests().size() == 1);

    assertOverloaded(stage.post(COMPLETIONS, endless), "tokens", "60");

    answered.countDown();
    assertThat(first.join().statusCode()).isEqualTo(200);
    assertThat(stage.post(COMPLETIONS, Scripts.whole()).statusCode()).isEqualTo(200);
  }

  @Test
  void clientsOwnTimeout_endsItsExchange() {
    open(stage.engine(Scripts.prefill()), slow(), 5, 5, Duration.ofMinutes(1));

    HttpResponse<String> answer =
        stage.post(COMPLETIONS, Scripts.whole(), "X-Request-Timeout", "0.2");

    assertThat(answer.statusCode()).isEqualTo(504);
    assertThat(answer.body()).contains("\"total_timeout\"").contains("within 200 ms");
    answered.countDown();
  }

  @ParameterizedTest
  @ValueSource(strings = {"0", "-1", "soon", "1e9", "0.0001", "NaN", "1,5"})
  void timeoutThatIsNone_isTheClientsMistake(String seconds) {
    open(
        stage.engine(Scripts.prefill()),
        stage.engine(Scripts.decode()),
        5,
        5,
        Duration.ofMinutes(1));

    HttpResponse<String> answer =
        stage.post(COMPLETIONS, Scripts.whole(), "X-Request-Timeout", seconds);

    assertThat(answer.statusCode()).isEqualTo(400);
    assertThat(answer.body()).contains("\"invalid_timeout\"");
  }
}
