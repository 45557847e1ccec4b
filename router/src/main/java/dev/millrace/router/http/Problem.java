package dev.millrace.router.http;

import com.fasterxml.jackson.core.io.JsonStringEncoder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

/**
 * An error that Millrace itself reports, as opposed to one that an engine answered.
 *
 * @param side whose fault it is
 * @param status HTTP status
 * @param slug the {@code code} of the error body, for programs
 * @param message what happened, where, and what to do about it, for people
 * @param retry whether the same request may well succeed later
 */
public record Problem(Side side, int status, String slug, String message, Retry retry) {

  /** Whose fault a problem is. */
  public enum Side {
    /** The request cannot be served by anybody. */
    CLIENT,
    /** A prefill worker failed. */
    PREFILL,
    /** A decode worker failed. */
    DECODE,
    /** The blocks did not get across. */
    TRANSFER,
    /** The router's own fault or limit. */
    US
  }

  /**
   * Whether trying again makes sense, and when.
   *
   * @param afterSeconds 0: the same request will fail again
   */
  public record Retry(long afterSeconds) {
    /** The same request will fail again. */
    public static final Retry NEVER = new Retry(0);

    /** The same request may succeed in a second. */
    public static final Retry SOON = new Retry(1);

    /** The same request may succeed after this time. */
    public static Retry after(Duration pause) {
      return new Retry(Math.max(1, pause.plusSeconds(1).minusNanos(1).toSeconds()));
    }
  }

  /** A request that the client must change. */
  public static Problem ofClient(int status, String slug, String message) {
    return new Problem(Side.CLIENT, status, slug, message, Retry.NEVER);
  }

  /** A request that is not the JSON object that the endpoint takes. */
  public static Problem badRequest(String slug, String message) {
    return ofClient(400, slug, message);
  }

  /** The body in OpenAI's form, with the request's id in the message. */
  public byte[] body(String requestId) {
    return body(requestId, ErrorForm.OPENAI);
  }

  /** The body, with the request's id in the message. */
  public byte[] body(String requestId, ErrorForm form) {
    return form.body(error(requestId)).getBytes(StandardCharsets.UTF_8);
  }

  /** The same as the last event of a stream that has already begun. */
  public byte[] event(String requestId, ErrorForm form) {
    return form.event(error(requestId)).getBytes(StandardCharsets.UTF_8);
  }

  private String error(String requestId) {
    StringBuilder json = new StringBuilder(128 + message.length()).append("{\"message\":\"");
    JsonStringEncoder.getInstance().quoteAsString(message + " (request " + requestId + ")", json);
    return json.append("\",\"type\":\"")
        .append(type())
        .append("\",\"param\":null,\"code\":\"")
        .append(slug)
        .append("\"}")
        .toString();
  }

  private String type() {
    return switch (status) {
      case 401 -> "authentication_error";
      case 404 -> "not_found_error";
      case 408, 504 -> "timeout_error";
      case 429 -> "rate_limit_error";
      default -> status < 500 ? "invalid_request_error" : "server_error";
    };
  }
}
