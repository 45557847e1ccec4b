package dev.millrace.router.probe;

import dev.millrace.router.http.Body;
import dev.millrace.router.pools.Worker;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpClientRequest;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.json.JsonObject;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

/** Questions of the router's own to engines: small, bounded, with a deadline. */
public final class EngineCalls {
  private static final long MOST_ANSWER_BYTES = 8L << 20;

  private final HttpClient client;

  /** Calls with a client. */
  public EngineCalls(HttpClient client) {
    this.client = client;
  }

  /**
   * An answer.
   *
   * @param status of HTTP
   * @param body the whole of it
   */
  public record Answer(int status, Body body) {
    /** The body as JSON; fails if it is none. */
    public JsonObject json() {
      return new JsonObject(Buffer.buffer(body.bytes()).slice(0, body.length()));
    }
  }

  /** Asks for a path. Fails if there is no answer, whatever its status, within the deadline. */
  public Future<Answer> get(Worker worker, String path, Duration within) {
    return answer(worker, HttpMethod.GET, path, within, HttpClientRequest::send);
  }

  /** Sends a body to a path. */
  public Future<Answer> post(Worker worker, String path, Buffer body, Duration within) {
    return answer(
        worker,
        HttpMethod.POST,
        path,
        within,
        request -> request.putHeader("content-type", "application/json").send(body));
  }

  private Future<Answer> answer(
      Worker worker,
      HttpMethod method,
      String path,
      Duration within,
      Function<HttpClientRequest, Future<HttpClientResponse>> send) {
    return client
        .request(worker.options(method, path).setTimeout(within.toMillis()))
        .compose(request ->
            send.apply(request)
                .compose(response ->
                    Body.collect(response, MOST_ANSWER_BYTES)
                        .map(body -> new Answer(response.statusCode(), body)))
                .timeout(within.toMillis(), TimeUnit.MILLISECONDS)
                .onFailure(failure -> request.reset()));
  }
}
