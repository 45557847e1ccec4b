package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * What is no HTTP: another recipient might read another request in it. It is refused in the form of
 * all errors, the connection is closed, and nothing behind it is read.
 */
final class MalformedRequestTest {
  private static final String BODY = "{\"model\":\"tiny\",\"prompt\":\"a\"}";

  @RegisterExtension final Stage stage = new Stage();

  private ScriptedEngine open() {
    ScriptedEngine p = stage.engine(Scripts.prefill());
    stage.open(p, stage.engine(Scripts.decode()));
    return p;
  }

  private String answerTo(String request) {
    try (RawClient client = stage.raw()) {
      return client.send(request + RawClient.post("/v1/completions", BODY)).readToEnd();
    }
  }

  private static void assertRefused(String answer, int status, String slug) {
    // What has no first line that can be read has no version either: the answer is in the oldest.
    assertThat(answer)
        .matches("(?s)HTTP/1\\.[01] %d .*".formatted(status))
        .containsIgnoringCase("content-type: application/json\r\n")
        .containsIgnoringCase("x-request-id: ")
        .contains("{\"error\":{\"message\":\"")
        .endsWith("\"code\":\"" + slug + "\"}}");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "host: x~content-length: 29~transfer-encoding: chunked | 400 | malformed_request",
        "host: x~content-length: 1~content-length: 29 | 400 | malformed_request",
        "host: x~content-length : 29 | 400 | malformed_request",
        "host: x~transfer-encoding: xchunked | 400 | malformed_request",
        "content-length: 29 | 400 | host_invalid",
        "host: x~host: y~content-length: 29 | 400 | host_invalid",
      })
  void head_isRefused(String headers, int status, String slug) {
    ScriptedEngine p = open();

    String answer =
        answerTo(
            "POST /v1/completions HTTP/1.1\r\n" + headers.replace("~", "\r\n") + "\r\n\r\n" + BODY);

    assertRefused(answer, status, slug);
    assertThat(p.requests()).isEmpty();
  }

  @Test
  void headersThatAreTooLarge_are431() {
    open();

    String answer =
        answerTo("GET /health HTTP/1.1\r\nhost: x\r\nx: " + "a".repeat(40_000) + "\r\n\r\n");

    assertRefused(answer, 431, "headers_too_large");
  }

  @Test
  void targetThatIsTooLong_is414() {
    open();

    String answer = answerTo("GET /health?" + "a".repeat(40_000) + " HTTP/1.1\r\nhost: x\r\n\r\n");

    assertRefused(answer, 414, "target_too_long");
  }

  /** Vert.x closes the connection at once, which HTTP allows (RFC 9112, 8). */
  @ParameterizedTest
  @CsvSource({"0x5", "-5", "g", "fffffffffffffffff"})
  void chunkSizeThatIsNone_endsTheConnection(String size) {
    ScriptedEngine p = open();

    String answer =
        answerTo(
            "POST /v1/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
                + size
                + "\r\nabcde\r\n0\r\n\r\n");

    assertThat(answer).isEmpty();
    assertThat(p.requests()).isEmpty();
  }

  @Test
  void oldClient_needsNoHost() {
    open();

    try (RawClient client = stage.raw()) {
      assertThat(client.send("GET /health HTTP/1.0\r\n\r\n").readToEnd())
          .startsWith("HTTP/1.0 200 ");
    }
  }
}
