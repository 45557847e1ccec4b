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
    ScriptedEngine d =
        stage.engine((request, wire) -> {
          answered.await();
          Scripts.decode().play(request, wire);
        });
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
