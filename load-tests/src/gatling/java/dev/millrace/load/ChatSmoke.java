package dev.millrace.load;

import static io.gatling.javaapi.core.CoreDsl.StringBody;
import static io.gatling.javaapi.core.CoreDsl.constantUsersPerSec;
import static io.gatling.javaapi.core.CoreDsl.details;
import static io.gatling.javaapi.core.CoreDsl.global;
import static io.gatling.javaapi.core.CoreDsl.jsonPath;
import static io.gatling.javaapi.core.CoreDsl.scenario;
import static io.gatling.javaapi.core.CoreDsl.substring;
import static io.gatling.javaapi.http.HttpDsl.http;
import static io.gatling.javaapi.http.HttpDsl.sse;
import static io.gatling.javaapi.http.HttpDsl.status;

import io.gatling.javaapi.core.ScenarioBuilder;
import io.gatling.javaapi.core.Simulation;
import io.gatling.javaapi.http.HttpProtocolBuilder;
import java.time.Duration;

/**
 * Chat requests, half of them streamed, at a constant rate against a router that is up.
 *
 * <p>Of a stream, the time of <em>first token</em> is what a user waits for before reading and the
 * time of <em>last event</em> ends the answer; both start with the request. The run fails when one
 * answer is not whole.
 *
 * <p>Settings are system properties: {@code millrace.url}, {@code millrace.model}, {@code
 * millrace.rate} (requests of each kind per second), {@code millrace.seconds}, {@code
 * millrace.tokens} (per answer).
 */
public final class ChatSmoke extends Simulation {
  private static final String URL = System.getProperty("millrace.url", "http://127.0.0.1:8080");
  private static final String MODEL = System.getProperty("millrace.model", "tiny");
  private static final double REQUESTS_PER_SECOND = Double.parseDouble(setting("rate", "5"));
  private static final Duration LENGTH =
      Duration.ofSeconds(Long.parseLong(setting("seconds", "15")));
  private static final int TOKENS = Integer.parseInt(setting("tokens", "16"));

  /** How long a user would look at an empty screen. */
  private static final Duration PATIENCE = Duration.ofSeconds(20);

  private static final String PATH = "/v1/chat/completions";

  /** Creates the simulation, as Gatling wants it: in the constructor. */
  public ChatSmoke() {
    HttpProtocolBuilder protocol = http.baseUrl(URL).contentTypeHeader("application/json");
    setUp(unary().injectOpen(steadily()), streamed().injectOpen(steadily()))
        .protocols(protocol)
        .assertions(
            global().failedRequests().count().is(0L),
            details("unary").successfulRequests().count().gt(0L),
            details("last event").successfulRequests().count().gt(0L));
  }

  private static io.gatling.javaapi.core.OpenInjectionStep steadily() {
    return constantUsersPerSec(REQUESTS_PER_SECOND).during(LENGTH).randomized();
  }

  private static ScenarioBuilder unary() {
    return scenario("unary")
        .exec(
            http("unary")
                .post(PATH)
                .body(StringBody(request("false")))
                .check(
                    status().is(200),
                    jsonPath("$.choices[0].message.content").exists(),
                    jsonPath("$.choices[0].finish_reason").exists(),
                    substring("remote_block_ids").notExists()));
  }

  private static ScenarioBuilder streamed() {
    return scenario("streamed")
        .exec(
            sse("open stream")
                .post(PATH)
                .header("Accept", "text/event-stream")
                .body(StringBody(request("true")))
                .await(PATIENCE)
                .on(
                    sse.checkMessage("first token").check(substring("chat.completion.chunk")),
                    sse.checkMessage("last event")
                        .matching(substring("[DONE]"))
                        .check(substring("[DONE]"))))
        .exec(sse("close stream").close());
  }

  /**
   * A prompt that differs from the others from its first word on, so that no prefix cache answers
   * for the prefill.
   */
  private static String request(String stream) {
    return """
    {"model": "%s", "stream": %s, "max_tokens": %d, "temperature": 0, "messages": [{"role": "user", \
    "content": "#{randomUuid()}: tell me which blocks of this prompt had to move, and where they came from."}]}
    """
        .formatted(MODEL, stream, TOKENS);
  }

  private static String setting(String name, String otherwise) {
    return System.getProperty("millrace." + name, otherwise);
  }
}
