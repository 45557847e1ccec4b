package dev.millrace.cli;

import dev.millrace.layout.Rounding;
import io.vertx.core.json.JsonObject;
import java.net.URI;
import java.time.Duration;
import java.util.Optional;

/**
 * What one request through a demo has shown.
 *
 * @param answer what came through the router
 * @param expected what the aggregated engine answers to the same request
 * @param promptTokens tokens of the prompt
 * @param moved what the decode engines have read for it
 * @param bytesPlanned bytes that a plan for the two geometries moves
 * @param waterfall where the router says the time went
 */
record Proof(
    String answer,
    String expected,
    int promptTokens,
    BlocksRead moved,
    long bytesPlanned,
    Optional<JsonObject> waterfall) {
  private static final String REQUEST_ID = "demo-once";
  private static final Duration WAIT_FOR_TRANSFER_REPORT = Duration.ofSeconds(2);
  private static final Duration BETWEEN_LOOKS = Duration.ofMillis(20);

  /** Whether prefill and decode together say what one engine says. */
  boolean isEqual() {
    return answer.equals(expected);
  }

  /**
   * Whether that proves anything: a decode engine that computes the prompt itself is right too. A
   * library that moves blocks must have counted the same bytes.
   */
  boolean holds() {
    return isEqual()
        && moved.bytes() > 0
        && moved.byLibrary().map(counted -> counted.bytes() == moved.bytes()).orElse(true);
  }

  /** Sends one chat request to the aggregated engine, and the same through the router. */
  static Proof of(Demo demo, String prompt, int maxTokens) {
    JsonObject request = DemoRequest.chat(prompt, maxTokens);
    try (HttpJson http = new HttpJson()) {
      JsonObject expected = ask(http, demo.aggregated().uri(), request);
      BlocksRead before = demo.blocksRead(http);
      JsonObject answer = ask(http, demo.routerUrl(), request);
      BlocksRead moved = demo.blocksRead(http).since(before);
      int promptTokens = answer.getJsonObject("usage").getInteger("prompt_tokens");
      PlanReport plan =
          PlanReport.of(
              demo.setup().prefill(), demo.setup().decode(), promptTokens, Rounding.WHOLE_BLOCKS);
      return new Proof(
          DemoRequest.text(answer),
          DemoRequest.text(expected),
          promptTokens,
          moved,
          plan.bytesMoved(),
          waterfall(http, demo.adminUrl()));
    }
  }

  private static JsonObject ask(HttpJson http, URI server, JsonObject request) {
    HttpJson.Answer answer = http.post(server.resolve("/v1/chat/completions"), request, REQUEST_ID);
    if (answer.status() != 200) {
      throw Failure.notSo(
          "%s answered %d: %s".formatted(server, answer.status(), answer.body().encode()));
    }
    return answer.body();
  }

  /** The router asks decode engines for their bytes a moment after the answer has gone out. */
  private static Optional<JsonObject> waterfall(HttpJson http, URI admin) {
    URI url = admin.resolve("/pd/requests/" + REQUEST_ID);
    long looks = WAIT_FOR_TRANSFER_REPORT.dividedBy(BETWEEN_LOOKS);
    Optional<JsonObject> found = Optional.empty();
    for (int look = 0; look < looks; look++) {
      HttpJson.Answer answer = http.get(url);
      if (answer.status() == 200) {
        found = Optional.of(answer.body());
        if (answer.body().getJsonObject("transfer").getValue("bytes") instanceof Number) {
          break;
        }
      }
      try {
        Thread.sleep(BETWEEN_LOOKS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        break;
      }
    }
    return found;
  }
}
