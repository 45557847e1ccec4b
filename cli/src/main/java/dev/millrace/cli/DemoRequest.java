package dev.millrace.cli;

import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;

/** The chat requests of the demo. */
final class DemoRequest {
  private DemoRequest() {}

  static JsonObject chat(String prompt, int maxTokens) {
    JsonObject message = new JsonObject().put("role", "user").put("content", prompt);
    return new JsonObject()
        .put("model", DemoSetup.MODEL)
        .put("messages", new JsonArray().add(message))
        .put("max_tokens", maxTokens)
        .put("temperature", 0);
  }

  /** The text of a unary answer. */
  static String text(JsonObject answer) {
    JsonObject choice = answer.getJsonArray("choices").getJsonObject(0);
    return choice.getJsonObject("message").getString("content");
  }

  /** A line for a shell that streams an answer. */
  static String curl(String router) {
    String body = chat("Hello", 32).put("stream", true).encode();
    return "curl -N %s/v1/chat/completions -H 'Content-Type: application/json' \\\n    -d '%s'"
        .formatted(router, body);
  }
}
