package dev.millrace.router;

import dev.millrace.config.Cors;
import dev.millrace.router.access.Caller;
import dev.millrace.router.access.Keys;
import dev.millrace.router.http.Api;
import dev.millrace.router.http.CrossOrigin;
import dev.millrace.router.http.ErrorForm;
import dev.millrace.router.http.KeptResponse;
import dev.millrace.router.http.Problem;
import dev.millrace.router.http.RequestId;
import io.netty.handler.codec.http.QueryStringDecoder;
import io.netty.handler.codec.http.TooLongHttpHeaderException;
import io.netty.handler.codec.http.TooLongHttpLineException;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServerRequest;
import java.util.List;
import java.util.Optional;

/** The public port's paths. */
final class FrontDoor {
  private static final String GET = "GET, HEAD, OPTIONS";
  private static final String POST = "POST, OPTIONS";
  private static final String MODELS = "/v1/models";

  private final Lane lane;

  FrontDoor(Lane lane) {
    this.lane = lane;
  }

  void handle(HttpServerRequest request) {
    Optional<Cors> cors = lane.house.table().listen().cors();
    if (cors.isPresent()) {
      CrossOrigin.allow(cors.get(), request);
    }
    if (!namesOneHost(request)) {
      refuse(
          request,
          Problem.badRequest(
              "host_invalid", "A request names its host once (RFC 9112, 3.2; RFC 9113, 8.3.1)"));
      return;
    }
    String path = request.path();
    Api api = path == null ? null : Api.at(path);
    if (api != null) {
      if (request.method().equals(HttpMethod.POST)) {
        Exchange.begin(lane, api, request);
      } else {
        otherMethod(request, POST);
      }
      return;
    }
    switch (String.valueOf(path)) {
      case "/health" -> get(request, Buffer.buffer("{\"status\":\"ok\"}"));
      default -> other(request, String.valueOf(path));
    }
  }

  /**
   * Answers what is no HTTP as far as it can be read. Where a request ends is not known then, so
   * Vert.x reads nothing behind it, and closes the connection after the answer.
   */
  void handleMalformed(HttpServerRequest request) {
    Throwable cause = request.decoderResult().cause();
    refuse(
        request,
        switch (cause) {
          case TooLongHttpLineException _ ->
              Problem.ofClient(414, "target_too_long", "The request's first line is too long");
          case TooLongHttpHeaderException _ ->
              Problem.ofClient(
                  431,
                  "headers_too_large",
                  "The headers are larger than the %d bytes that are accepted"
                      .formatted(Lane.MOST_HEADER_BYTES));
          default ->
              Problem.badRequest(
                  "malformed_request",
                  "The request is not HTTP (RFC 9112): "
                      + shortened(String.valueOf(cause.getMessage())));
        });
  }

  /** Where it is missing or ambiguous, others on the way may have taken another one (3.2). */
  private static boolean namesOneHost(HttpServerRequest request) {
    List<String> hosts = request.headers().getAll(HttpHeaders.HOST);
    return switch (request.version()) {
      case HTTP_1_0 -> hosts.size() <= 1;
      case HTTP_1_1 -> hosts.size() == 1;
      // Streams whose Host is not their :authority (RFC 9113, 8.3.1) are reset by Vert.x.
      case HTTP_2 -> request.authority() != null;
    };
  }

  private void other(HttpServerRequest request, String path) {
    KeptResponse asked = KeptResponse.at(path, request.query());
    if (asked != null) {
      if (request.method().equals(asked.method())) {
        Exchange.begin(lane, asked, request);
      } else {
        otherMethod(request, asked.method() + ", OPTIONS");
      }
      return;
    }
    if (path.equals(MODELS) || path.startsWith(MODELS + "/")) {
      models(request, path);
      return;
    }
    refuse(
        request, Problem.ofClient(404, "unknown_path", "There is nothing at " + shortened(path)));
  }

  private void models(HttpServerRequest request, String path) {
    switch (lane.house.keys().of(request.headers())) {
      case Keys.Identity.Stranger(Problem problem) -> refuse(request, problem);
      case Keys.Identity.Known(Caller caller) when path.equals(MODELS) ->
          get(request, lane.house.models().page(caller::mayUse, request.headers()).toBuffer());
      case Keys.Identity.Known(Caller caller) -> {
        String name = QueryStringDecoder.decodeComponent(path.substring(MODELS.length() + 1));
        lane.house
            .models()
            .card(name, request.headers())
            .filter(card -> caller.mayUse(name))
            .ifPresentOrElse(
                card -> get(request, card.toBuffer()),
                () -> refuse(request, Understanding.unknown(name)));
      }
    }
  }

  private void get(HttpServerRequest request, Buffer body) {
    HttpMethod method = request.method();
    if (!method.equals(HttpMethod.GET) && !method.equals(HttpMethod.HEAD)) {
      otherMethod(request, GET);
      return;
    }
    request
        .response()
        .putHeader(HttpHeaders.CONTENT_TYPE, "application/json")
        .putHeader(RequestId.HEADER, id(request));
    if (method.equals(HttpMethod.HEAD)) {
      request.response().putHeader(HttpHeaders.CONTENT_LENGTH, "" + body.length()).end();
    } else {
      request.response().end(body);
    }
  }

  private void otherMethod(HttpServerRequest request, String allowed) {
    request.response().putHeader(HttpHeaders.ALLOW, allowed);
    if (request.method().equals(HttpMethod.OPTIONS)) {
      if (CrossOrigin.isAllowedPreflight(request)) {
        CrossOrigin.tell(request, allowed);
      }
      request.response().setStatusCode(204).putHeader(RequestId.HEADER, id(request)).end();
    } else {
      refuse(
          request,
          Problem.ofClient(
              405, "method_not_allowed", request.path() + " takes " + allowed + " only"));
    }
  }

  private void refuse(HttpServerRequest request, Problem problem) {
    new Reply(lane, request, id(request), form(request)).finish(new Ending.Refused(problem));
  }

  private static ErrorForm form(HttpServerRequest request) {
    Api api = Api.at(String.valueOf(request.path()));
    return api == null ? ErrorForm.OPENAI : api.errors();
  }

  private String id(HttpServerRequest request) {
    return RequestId.keptOrFresh(request.getHeader(RequestId.HEADER), lane.random);
  }

  private static String shortened(String text) {
    return text.length() <= 100 ? text : text.substring(0, 100) + "…";
  }
}
