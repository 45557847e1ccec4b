package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Cors;
import dev.millrace.config.Listen;
import java.util.List;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What browsers are told for the web pages that they show. */
final class CorsTest {
  private static final String PAGE = "https://app.example.com";

  @RegisterExtension final Stage stage = new Stage();
  private final ScriptedEngine p = ScriptedEngine.playing(Scripts.prefill());
  private final ScriptedEngine d = ScriptedEngine.playing(answering());

  /** As vLLM's middleware does for a request that names its origin. */
  private static ScriptedEngine.Script answering() {
    return (request, wire) ->
        wire.send(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\naccess-control-allow-origin: *\r\n"
                + "access-control-allow-credentials: true\r\ncontent-length: %d\r\n\r\n%s"
                    .formatted(Scripts.ANSWER.length(), Scripts.ANSWER));
  }

  private void open(String... origins) {
    stage.closing(p);
    stage.closing(d);
    Listen listen = Listen.defaults().withPort(0).withEventLoops(1);
    stage.open(
        List.of(p.url()),
        List.of(d.url()),
        UnaryOperator.identity(),
        origins.length == 0 ? listen : listen.withCors(new Cors(Set.of(origins))));
  }

  /** The answer's head, in lower case. */
  private String head(String request) {
    try (RawClient client = stage.raw().send(request)) {
      String all = client.readUntil("\r\n\r\n");
      return all.substring(0, all.indexOf("\r\n\r\n")).toLowerCase(java.util.Locale.ROOT);
    }
  }

  private static String preflight(String path, String origin) {
    return "OPTIONS %s HTTP/1.1\r\nhost: x\r\norigin: %s\r\naccess-control-request-method: POST\r\n"
            .formatted(path, origin)
        + "access-control-request-headers: authorization,content-type,x-stainless-lang\r\n\r\n";
  }

  private static String post(String origin) {
    return RawClient.post("/v1/completions", Scripts.whole())
        .replaceFirst("\r\n", "\r\norigin: " + origin + "\r\n");
  }

  @Test
  void preflight_isAnsweredWithoutAWorker() {
    open(PAGE);

    assertThat(head(preflight("/v1/completions", PAGE)).split("\r\n"))
        .contains(
            "http/1.1 204 no content",
            "access-control-allow-origin: " + PAGE,
            "access-control-allow-methods: post, options",
            "access-control-allow-headers: authorization,content-type,x-stainless-lang",
            "access-control-max-age: 600",
            "vary: origin, access-control-request-method, access-control-request-headers");
    assertThat(head(preflight("/v1/models", PAGE))).contains("allow-methods: get, head, options");
    assertThat(p.requests()).isEmpty();
    assertThat(d.requests()).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "https://evil.example.com",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com.evil.com",
        "https://APP.example.com",
        "null",
        "*"
      })
  void preflight_ofAnotherPageIsToldNothing(String origin) {
    open(PAGE);

    assertThat(head(preflight("/v1/completions", origin)))
        .startsWith("http/1.1 204 ")
        .doesNotContain("access-control")
        .contains("vary: origin");
  }

  @Test
  void answer_canBeReadByThePage() {
    open(PAGE, "http://localhost:3000");

    String head = head(post("http://localhost:3000"));

    assertThat(head.split("\r\n"))
        .contains(
            "http/1.1 200 ok",
            "access-control-allow-origin: http://localhost:3000",
            "vary: origin");
    assertThat(head).contains("expose-headers: x-request-id, retry-after, x-ratelimit-");
    assertThat(head).as("what the engine says").doesNotContain("credentials", "origin: *");
  }

  @Test
  void error_canBeReadByThePage() {
    open(PAGE);

    assertThat(head("GET /nowhere HTTP/1.1\r\nhost: x\r\norigin: " + PAGE + "\r\n\r\n"))
        .startsWith("http/1.1 404 ")
        .contains("access-control-allow-origin: " + PAGE);
  }

  @Test
  void stream_canBeReadByThePage() {
    d.play(Scripts.decode());
    open(PAGE);

    assertThat(
            head(
                post(PAGE)
                    .replace(Scripts.whole(), Scripts.streamed())
                    .replace(
                        "content-length: " + Scripts.whole().length(),
                        "content-length: " + Scripts.streamed().length())))
        .contains("text/event-stream")
        .contains("access-control-allow-origin: " + PAGE);
  }

  @Test
  void answer_toAnotherPageSaysNothing() {
    open(PAGE);

    assertThat(head(post("https://evil.example.com")))
        .startsWith("http/1.1 200 ")
        .doesNotContain("access-control")
        .contains("vary: origin");
  }

  @Test
  void anyOrigin_isAnsweredAlikeAndNeverWithCredentials() {
    open(Cors.ANY);

    assertThat(head(post("https://evil.example.com")))
        .contains("access-control-allow-origin: *")
        .doesNotContain("credentials", "vary");
    assertThat(head(preflight("/v1/completions", "null")))
        .contains("access-control-allow-origin: *", "access-control-allow-headers: ");
  }

  @Test
  void headersThatAreNone_areNotRepeated() {
    open(PAGE);

    assertThat(head(preflight("/v1/completions", PAGE).replace("x-stainless-lang", "x;<script>")))
        .contains("access-control-allow-methods")
        .doesNotContain("allow-headers");
  }

  @Test
  void withoutIt_noPageOfAnotherOriginMayRead() {
    open();

    assertThat(head(post(PAGE))).startsWith("http/1.1 200 ").doesNotContain("access-control");
    assertThat(head(preflight("/v1/completions", PAGE)))
        .startsWith("http/1.1 204 ")
        .doesNotContain("access-control");
  }

  @Test
  void optionsWithoutAPage_nameTheMethodsAlone() {
    open(PAGE);

    assertThat(head("OPTIONS /v1/completions HTTP/1.1\r\nhost: x\r\n\r\n"))
        .contains("allow: post, options")
        .doesNotContain("access-control");
  }
}
