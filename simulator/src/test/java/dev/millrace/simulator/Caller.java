package dev.millrace.simulator;

import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** Sends requests to engines. */
final class Caller {
  private static final HttpClient CLIENT =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

  private Caller() {}

  static HttpResponse<String> get(SimulatedEngine engine, String path) {
    return send(HttpRequest.newBuilder(uri(engine, path)).build());
  }

  static HttpResponse<String> post(SimulatedEngine engine, String path, String body) {
    return send(request(engine, path, body));
  }

  /** A completion with one more header. */
  static HttpResponse<String> complete(
      SimulatedEngine engine, String body, String header, String value) {
    HttpRequest plain = request(engine, "/v1/completions", body);
    return send(HttpRequest.newBuilder(plain, (name, one) -> true).header(header, value).build());
  }

  static HttpResponse<String> complete(SimulatedEngine engine, String body) {
    return post(engine, "/v1/completions", body);
  }

  static CompletableFuture<HttpResponse<String>> completeLater(
      SimulatedEngine engine, String body) {
    return CLIENT.sendAsync(
        request(engine, "/v1/completions", body), HttpResponse.BodyHandlers.ofString());
  }

  /** A body that arrives as fast as it is read. */
  static InputStream stream(SimulatedEngine engine, String body) throws IOException {
    try {
      return CLIENT
          .send(request(engine, "/v1/completions", body), HttpResponse.BodyHandlers.ofInputStream())
          .body();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /** Whether anybody listens there. */
  static boolean reaches(SimulatedEngine engine) {
    try (Socket socket = new Socket()) {
      socket.connect(
          new InetSocketAddress(InetAddress.getLoopbackAddress(), engine.uri().getPort()), 1000);
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  /** The contents of the data lines of a stream. */
  static List<String> events(String stream) {
    List<String> events = new ArrayList<>();
    for (String event : stream.split("\n\n", -1)) {
      if (!event.isEmpty()) {
        if (!event.startsWith("data: ")) {
          throw new AssertionError("not an event: " + event);
        }
        events.add(event.substring(6));
      }
    }
    return events;
  }

  static HttpRequest request(SimulatedEngine engine, String path, String body) {
    return HttpRequest.newBuilder(uri(engine, path))
        .timeout(Duration.ofSeconds(30))
        .header("content-type", "application/json")
        .POST(HttpRequest.BodyPublishers.ofString(body))
        .build();
  }

  private static HttpResponse<String> send(HttpRequest request) {
    try {
      return CLIENT.send(request, HttpResponse.BodyHandlers.ofString());
    } catch (IOException e) {
      throw new AssertionError(request.uri() + ": " + e, e);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  private static URI uri(SimulatedEngine engine, String path) {
    return engine.uri().resolve(path);
  }
}
