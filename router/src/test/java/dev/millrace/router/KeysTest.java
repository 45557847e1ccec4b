package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Listen;
import dev.millrace.router.access.Keys;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Who may ask, and how much. */
final class KeysTest {
  private static final String COMPLETIONS = "/v1/completions";
  private static final String KEY = "mr-secret";

  @RegisterExtension final Stage stage = new Stage();
  @TempDir Path folder;

  private void open(ScriptedEngine p, ScriptedEngine d, String allowed) throws Exception {
    Path keys =
        Files.writeString(
            folder.resolve("keys.yaml"),
            "keys: [{name: team, sha256: %s%s}]".formatted(Keys.hash(KEY), allowed));
    stage.open(
        List.of(p.url()),
        List.of(d.url()),
        UnaryOperator.identity(),
        Listen.defaults().withPort(0).withEventLoops(1).withKeysFile(keys));
  }

  private HttpResponse<String> ask(String... headers) {
    return stage.post(COMPLETIONS, Scripts.whole(), headers);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "authorization: Bearer mr-secret",
        "authorization: bearer  mr-secret ",
        "x-api-key: mr-secret"
      })
  void rightKey_isLetInAndDoesNotReachEngines(String header) throws Exception {
    ScriptedEngine p = stage.engine(Scripts.prefill());
    ScriptedEngine d = stage.engine(Scripts.decode());
    open(p, d, "");
    String[] parts = header.split(": ", 2);

    HttpResponse<String> answer = ask(parts[0], parts[1], "x-request-id", "r");

    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    assertThat(p.requests().getFirst().head()).doesNotContain(KEY);
    assertThat(d.requests().getFirst().head()).doesNotContain(KEY);
    assertThat(stage.record("r").getString("key")).isEqualTo("team");
    assertThat(stage.record("r").encode()).doesNotContain(KEY);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "x-nothing: x",
        "authorization: mr-secret",
        "authorization: Basic mr-secret",
        "authorization: Bearer mr-secre",
        "authorization: Bearer ",
        "x-api-key: other"
      })
  void anythingElse_isRefusedBeforeEnginesHearOfIt(String header) throws Exception {
    ScriptedEngine p = stage.engine(Scripts.prefill());
    open(p, stage.engine(Scripts.decode()), "");
    String[] parts = header.split(":", 2);

    HttpResponse<String> answer = ask(parts[0], parts[1].strip());

    assertThat(answer.statusCode()).isEqualTo(401);
    assertThat(answer.headers().firstValue("www-authenticate")).hasValue("Bearer");
    assertThat(answer.body()).contains("\"invalid_api_key\"").contains("authentication_error");
    assertThat(answer.body()).doesNotContain(parts[1].strip().isEmpty() ? KEY : "mr-secre");
    assertThat(p.requests()).isEmpty();
  }

  @Test
  void modelOfOthers_doesNotExist() throws Exception {
    open(stage.engine(Scripts.prefill()), stage.engine(Scripts.decode()), ", models: [other]");

    assertThat(ask("x-api-key", KEY).statusCode()).isEqualTo(404);
    HttpRequest.Builder models =
        HttpRequest.newBuilder(stage.url("/v1/models")).header("x-api-key", KEY);
    assertThat(stage.send(models.build()).body()).doesNotContain("tiny");
    assertThat(stage.get(stage.url("/v1/models")).statusCode()).isEqualTo(401);
    assertThat(stage.get(stage.url("/health")).statusCode()).isEqualTo(200);
  }

  @Test
  void moreAtATimeThanAgreed_isRefused() throws Exception {
    CountDownLatch answered = new CountDownLatch(1);
    ScriptedEngine d = stage.engine(Scripts.decodeAfter(answered));
    open(stage.engine(Scripts.prefill()), d, ", concurrent: 1");
    CompletableFuture<HttpResponse<String>> first =
        CompletableFuture.supplyAsync(() -> ask("x-api-key", KEY));
    Stage.await("the first is at D", () -> d.requests().size() == 1);

    HttpResponse<String> second = ask("x-api-key", KEY);

    assertThat(second.statusCode()).isEqualTo(429);
    assertThat(second.headers().firstValue("retry-after")).hasValue("1");
    assertThat(second.body()).contains("\"rate_limit_exceeded\"").contains("team");
    answered.countDown();
    assertThat(first.join().statusCode()).isEqualTo(200);
    assertThat(ask("x-api-key", KEY).statusCode()).isEqualTo(200);
  }

  private static final String USAGE =
      "{\"choices\":[{\"index\":0,\"text\":\" w1\"}],\"usage\":{\"prompt_tokens\":30,\"total_tokens\":50,\"completion_tokens\":20}}";

  private static String left(HttpResponse<String> answer) {
    return answer.headers().firstValue("x-ratelimit-remaining-tokens").orElse("none");
  }

  private static String asking(int tokens) {
    return Scripts.whole().replace("\"max_tokens\":3", "\"max_tokens\":" + tokens);
  }

  private HttpResponse<String> askFor(int tokens, String id) {
    return stage.post(COMPLETIONS, asking(tokens), "x-api-key", KEY, "x-request-id", id);
  }

  /** A second is worth one in a thousand of a test's bucket; tests take less than a minute. */
  private void openWithTokens(ScriptedEngine p, ScriptedEngine d, int perMinute) throws Exception {
    long start = System.nanoTime();
    stage.goBy(() -> start);
    open(p, d, ", tokens-per-minute: " + perMinute);
  }

  @Test
  void tokens_areTakenBeforeAndPutRightByWhatTheEngineSays() throws Exception {
    ScriptedEngine d = stage.engine((request, wire) -> wire.answer(200, USAGE));
    openWithTokens(stage.engine(Scripts.prefill()), d, 1000);

    HttpResponse<String> answer = askFor(700, "r");

    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(answer.headers().firstValue("x-ratelimit-limit-tokens")).hasValue("1000");
    assertThat(left(answer)).isEqualTo("950");
    assertThat(answer.headers().firstValue("x-ratelimit-reset-tokens")).hasValue("3s");
    assertThat(answer.headers().firstValue("x-ratelimit-limit-requests")).isEmpty();
    assertThat(stage.record("r").getJsonObject("tokens").encode())
        .isEqualTo("{\"taken\":701,\"used\":50}");
    assertThat(stage.get(stage.adminUrl("/metrics")).body())
        .contains("millrace_key_tokens_total{key=\"team\"} 50\n");
  }

  @Test
  void moreTokensThanAreLeft_areRefusedAndNoEngineHearsOfIt() throws Exception {
    CountDownLatch answered = new CountDownLatch(1);
    ScriptedEngine p = stage.engine(Scripts.prefill());
    ScriptedEngine d =
        stage.engine((request, wire) -> {
          answered.await();
          wire.answer(200, USAGE);
        });
    openWithTokens(p, d, 1000);
    CompletableFuture<HttpResponse<String>> first =
        CompletableFuture.supplyAsync(() -> askFor(600, "first"));
    Stage.await("the first is at D", () -> d.requests().size() == 1);

    HttpResponse<String> second = askFor(600, "second");

    assertThat(second.statusCode()).isEqualTo(429);
    assertThat(second.body())
        .contains("\"rate_limit_exceeded\"")
        .contains("about 601 are asked for");
    assertThat(second.headers().firstValue("retry-after")).hasValue("13");
    assertThat(left(second)).isEqualTo("399");
    assertThat(p.requests()).hasSize(1);
    assertThat(stage.get(stage.adminUrl("/metrics")).body())
        .contains("millrace_key_refused_total{key=\"team\"} 1\n");
    answered.countDown();
    assertThat(first.join().statusCode()).isEqualTo(200);
    assertThat(askFor(600, "third").statusCode()).as("what the first did not use").isEqualTo(200);
  }

  @Test
  void stream_countsWhatItSays() throws Exception {
    ScriptedEngine d =
        stage.engine((request, wire) ->
            wire.streamHead()
                .chunk(Scripts.EVENT)
                .chunk("data: " + USAGE + "\n\n" + Scripts.DONE)
                .endChunks());
    openWithTokens(stage.engine(Scripts.prefill()), d, 1000);

    HttpResponse<String> answer =
        stage.post(COMPLETIONS, Scripts.streamed(), "x-api-key", KEY, "x-request-id", "r");

    assertThat(left(answer)).as("before it is known").isEqualTo("996");
    assertThat(stage.record("r").getJsonObject("tokens").getLong("used")).isEqualTo(50);
    HttpResponse<String> next = stage.post(COMPLETIONS, Scripts.streamed(), "x-api-key", KEY);
    assertThat(left(next)).isEqualTo("946");
  }

  @Test
  void failure_costsNothing() throws Exception {
    openWithTokens(stage.engine(Scripts.error(500)), stage.engine(Scripts.decode()), 1000);

    HttpResponse<String> answer = askFor(500, "r");

    assertThat(answer.statusCode()).isEqualTo(500);
    assertThat(left(answer)).isEqualTo("1000");
    assertThat(stage.record("r").getJsonObject("tokens").getLong("used")).isZero();
  }

  @Test
  void clientThatLeaves_paysForItsPromptAndWhatItHasGot() throws Exception {
    ScriptedEngine d =
        stage.engine((request, wire) -> {
          wire.streamHead().chunk(Scripts.EVENT).chunk(Scripts.EVENT);
          wire.awaitGone();
        });
    openWithTokens(stage.engine(Scripts.prefill()), d, 1000);
    String request =
        RawClient.post(COMPLETIONS, Scripts.streamed())
            .replaceFirst("\r\n", "\r\nx-api-key: " + KEY + "\r\nx-request-id: r\r\n");

    try (RawClient client = stage.raw().send(request)) {
      client.readUntil(Scripts.EVENT);
      client.readUntil(Scripts.EVENT);
      client.reset();
    }

    assertThat(stage.record("r").getString("ending")).isEqualTo("ClientLeft");
    assertThat(stage.record("r").getJsonObject("tokens").getLong("used")).isEqualTo(3);
  }

  @Test
  void limitOfRequests_isSaidWithEveryAnswer() throws Exception {
    long start = System.nanoTime();
    stage.goBy(() -> start);
    open(
        stage.engine(Scripts.prefill()),
        stage.engine(Scripts.decode()),
        ", requests-per-minute: 12");

    HttpResponse<String> first = ask("x-api-key", KEY);
    assertThat(first.headers().firstValue("x-ratelimit-limit-requests")).hasValue("12");
    assertThat(first.headers().firstValue("x-ratelimit-remaining-requests")).hasValue("1");
    assertThat(first.headers().firstValue("x-ratelimit-reset-requests")).hasValue("5s");
    assertThat(first.headers().firstValue("x-ratelimit-limit-tokens")).isEmpty();
    ask("x-api-key", KEY);
    HttpResponse<String> third = ask("x-api-key", KEY);
    assertThat(third.statusCode()).isEqualTo(429);
    assertThat(third.headers().firstValue("x-ratelimit-remaining-requests")).hasValue("0");
  }

  @Test
  void moreOftenThanAgreed_isToldWhenToComeBack() throws Exception {
    open(
        stage.engine(Scripts.prefill()),
        stage.engine(Scripts.decode()),
        ", requests-per-minute: 1");

    assertThat(ask("x-api-key", KEY).statusCode()).isEqualTo(200);
    HttpResponse<String> second = ask("x-api-key", KEY);

    assertThat(second.statusCode()).isEqualTo(429);
    assertThat(Integer.parseInt(second.headers().firstValue("retry-after").orElseThrow()))
        .isBetween(2, 60);
  }
}
