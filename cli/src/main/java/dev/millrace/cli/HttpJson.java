package dev.millrace.cli;

import io.vertx.core.json.DecodeException;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;

/** Asks a server one thing and waits for the answer. */
final class HttpJson implements AutoCloseable {
  private static final Duration LONGEST = Duration.ofSeconds(60);

  private final HttpClient client =
      HttpClient.newBuilder()
          .version(HttpClient.Version.HTTP_1_1)
          .connectTimeout(Duration.ofSeconds(2))
          .build();

  /**
   * An answer.
   *
   * @param status its HTTP status
   * @param body its body
   */
  record Answer(int status, JsonObject body) {}

  Answer post(URI url, JsonObject body, String requestId) {
    return send(
        HttpRequest.newBuilder(url)
            .header("Content-Type", "application/json")
            .header("X-Request-Id", requestId)
            .POST(HttpRequest.BodyPublishers.ofString(body.encode())));
  }

  Answer get(URI url) {
    return send(HttpRequest.newBuilder(url));
  }

  /** A page of text, which must be there. */
  String text(URI url) {
    HttpResponse<String> response = answer(HttpRequest.newBuilder(url).timeout(LONGEST).build());
    if (response.statusCode() != 200) {
      throw Failure.unreachable("%s answered %d".formatted(url, response.statusCode()));
    }
    return response.body();
  }

  private Answer send(HttpRequest.Builder request) {
    HttpRequest built = request.timeout(LONGEST).build();
    HttpResponse<String> response = answer(built);
    try {
      return new Answer(response.statusCode(), new JsonObject(response.body()));
    } catch (DecodeException e) {
      throw Failure.unreachable("%s did not answer in JSON".formatted(built.uri()));
    }
  }

  private HttpResponse<String> answer(HttpRequest built) {
    try {
      return client.send(built, HttpResponse.BodyHandlers.ofString());
    } catch (IOException e) {
      throw Failure.unreachable("%s does not answer: %s".formatted(built.uri(), e));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw Failure.unreachable("interrupted while asking " + built.uri());
    }
  }

  @Override
  public void close() {
    client.close();
  }
}
