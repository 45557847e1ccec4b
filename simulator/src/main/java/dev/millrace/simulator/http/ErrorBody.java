package dev.millrace.simulator.http;

import com.fasterxml.jackson.core.io.JsonStringEncoder;
import org.jspecify.annotations.Nullable;

/** An error as vLLM answers it (0.32.0, {@code ErrorResponse}). */
record ErrorBody(int status, String type, String message, @Nullable String param) {

  static ErrorBody badRequest(String message) {
    return new ErrorBody(400, "BadRequestError", message, null);
  }

  /** About one key of the body. */
  static ErrorBody badRequest(String message, String param) {
    return new ErrorBody(400, "BadRequestError", message, param);
  }

  static ErrorBody notFound(String model) {
    return new ErrorBody(
        404, "NotFoundError", "The model `" + model + "` does not exist.", "model");
  }

  static ErrorBody noResponse(String id) {
    return new ErrorBody(
        404, "invalid_request_error", "Response with id '" + id + "' not found.", "response_id");
  }

  /** Those that are made in the background alone can be cancelled, and these are not simulated. */
  static ErrorBody notCancelled() {
    return new ErrorBody(
        400, "invalid_request_error", "Cannot cancel a synchronous response.", "response_id");
  }

  static ErrorBody internal() {
    return new ErrorBody(500, "InternalServerError", "Internal server error", null);
  }

  static ErrorBody coreFailed() {
    return new ErrorBody(
        500,
        "InternalServerError",
        "EngineCore encountered an issue. See stack trace (above) for the root cause.",
        null);
  }

  static ErrorBody overloaded() {
    return new ErrorBody(
        503, "ServiceUnavailableError", "Too many requests are waiting for KV-cache blocks", null);
  }

  static ErrorBody ofStatus(int status) {
    return switch (status) {
      case 400 -> badRequest("Refused by a simulated misbehaviour");
      case 500 -> internal();
      default ->
          new ErrorBody(status, "SimulatedRefusal", "Refused by a simulated misbehaviour", null);
    };
  }

  /** The body of an answer. */
  String body() {
    return "{\"error\":{\"message\":%s,\"type\":\"%s\",\"param\":%s,\"code\":%d}}"
        .formatted(quoted(message), type, param == null ? "null" : quoted(param), status);
  }

  /** The body of an answer of an endpoint; {@code /v1/messages} has Anthropic's form. */
  String body(CompletionRequest.Api api) {
    return api == CompletionRequest.Api.MESSAGES
        ? "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":%s}}"
            .formatted(type, quoted(message))
        : body();
  }

  /** The event in a stream, with the spaces of Python's {@code json.dumps}. */
  String event() {
    return "data: {\"error\": {\"message\": %s, \"type\": \"%s\", \"param\": %s, \"code\": %d}}\n\n"
        .formatted(quoted(message), type, param == null ? "null" : quoted(param), status);
  }

  private static String quoted(String text) {
    return "\"" + new String(JsonStringEncoder.getInstance().quoteAsString(text)) + "\"";
  }
}
