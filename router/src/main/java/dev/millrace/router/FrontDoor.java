package dev.millrace.router;

import dev.millrace.config.Route;
import dev.millrace.router.http.Api;
import dev.millrace.router.http.Problem;
import dev.millrace.router.http.RequestId;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;

/** The public port's paths. */
final class FrontDoor {
  private static final String GET = "GET, HEAD, OPTIONS";
  private static final String POST = "POST, OPTIONS";

  private final Lane lane;
  private final Buffer models;

  FrontDoor(Lane lane) {
    this.lane = lane;
    this.models = models(lane.house.table.routes());
  }

  void handle(HttpServerRequest request) {
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
      case "/v1/models" -> get(request, models);
      case "/health" -> get(request, Buffer.buffer("{\"status\":\"ok\"}"));
      default ->
          refuse(
              request,
              Problem.ofClient(
                  404, "unknown_path", "There is nothing at " + shortened(String.valueOf(path))));
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
      request.response().setStatusCode(204).putHeader(RequestId.HEADER, id(request)).end();
    } else {
      refuse(
          request,
          Problem.ofClient(
              405, "method_not_allowed", request.path() + " takes " + allowed + " only"));
    }
  }

  private void refuse(HttpServerRequest request, Problem problem) {
    new Reply(lane, request, id(request)).finish(new Ending.Refused(problem));
  }

  private String id(HttpServerRequest request) {
    return RequestId.keptOrFresh(request.getHeader(RequestId.HEADER), lane.random);
  }

  private static Buffer models(Iterable<Route> routes) {
    JsonArray data = new JsonArray();
    for (Route route : routes) {
      data.add(
          new JsonObject()
              .put("id", route.model())
              .put("object", "model")
              .put("created", 0)
              .put("owned_by", "millrace"));
    }
    return new JsonObject().put("object", "list").put("data", data).toBuffer();
  }

  private static String shortened(String text) {
    return text.length() <= 100 ? text : text.substring(0, 100) + "…";
  }
}
