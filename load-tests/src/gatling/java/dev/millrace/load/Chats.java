package dev.millrace.load;

import static io.gatling.javaapi.core.CoreDsl.StringBody;
import static io.gatling.javaapi.core.CoreDsl.exec;
import static io.gatling.javaapi.core.CoreDsl.jsonPath;
import static io.gatling.javaapi.core.CoreDsl.substring;
import static io.gatling.javaapi.http.HttpDsl.http;
import static io.gatling.javaapi.http.HttpDsl.sse;
import static io.gatling.javaapi.http.HttpDsl.status;

import io.gatling.javaapi.core.ChainBuilder;
import io.gatling.javaapi.http.HttpProtocolBuilder;
import java.time.Duration;

/**
 * The requests of all simulations, and their settings: system properties {@code millrace.url},
 * {@code millrace.model}, {@code millrace.rate} (requests per second), {@code millrace.seconds},
 * {@code millrace.tokens} (per answer).
 */
final class Chats {
  static final int RATE = Integer.parseInt(setting("rate", "50"));
  static final Duration LENGTH = Duration.ofSeconds(Long.parseLong(setting("seconds", "20")));
  static final int TOKENS = Integer.parseInt(setting("tokens", "16"));

  private static final String MODEL = setting("model", "tiny");
  private static final String PATH = "/v1/chat/completions";
  private static final String WORDS = "tell me which blocks of this prompt had to move; ";

  /** How long a user would look at an empty screen. */
  private static final Duration PATIENCE = Duration.ofSeconds(20);

  private Chats() {}

  static HttpProtocolBuilder router() {
    return http.baseUrl(setting("url", "http://127.0.0.1:8080"))
        .contentTypeHeader("application/json")
        .shareConnections();
  }

  /** An answer in one piece, which must be whole. */
  static ChainBuilder unary(String name, int promptBytes) {
    return exec(
        http(name)
            .post(PATH)
            .body(StringBody(request(false, promptBytes)))
            .check(
                status().is(200),
                jsonPath("$.choices[0].message.content").exists(),
                jsonPath("$.choices[0].finish_reason").exists(),
                substring("remote_block_ids").notExists()));
  }

  /** An answer in one piece, or a refusal that says when to come again. */
  static ChainBuilder unaryOrRefused(String name, int promptBytes) {
    return exec(
        http(name)
            .post(PATH)
            .body(StringBody(request(false, promptBytes)))
            .check(status().in(200, 429, 503)));
  }

  /**
   * A stream. Of its parts, <em>first token</em> is what a user waits for before reading, and each
   * <em>token</em> is as late as it was behind the one before it.
   */
  static ChainBuilder streamed(int promptBytes) {
    ChainBuilder open =
        exec(
            sse("open stream")
                .post(PATH)
                .header("Accept", "text/event-stream")
                .body(StringBody(request(true, promptBytes)))
                .await(PATIENCE)
                .on(
                    sse.checkMessage("first token")
                        .matching(substring("\"content\":\""))
                        .check(substring("chat.completion.chunk"))));
    ChainBuilder last =
        exec(
            sse("wait for the end")
                .setCheck()
                .await(PATIENCE)
                .on(
                    sse.checkMessage("last event")
                        .matching(substring("[DONE]"))
                        .check(substring("[DONE]"))));
    return open.exec(last).exec(sse("close stream").close());
  }

  /** A prompt that differs from the others from its first word on, so that no cache answers. */
  private static String request(boolean stream, int promptBytes) {
    String text = WORDS.repeat(promptBytes / WORDS.length() + 1).substring(0, promptBytes);
    return """
    {"model": "%s", "stream": %s, "max_tokens": %d, "temperature": 0, "messages": [{"role": "user", \
    "content": "#{randomUuid()}: %s"}]}
    """
        .formatted(MODEL, stream, TOKENS, text);
  }

  static String setting(String name, String otherwise) {
    return System.getProperty("millrace." + name, otherwise);
  }
}
