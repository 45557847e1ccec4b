package dev.millrace.router;

import dev.millrace.router.handoff.Parameters;
import dev.millrace.router.http.Api;
import dev.millrace.router.http.Body;
import dev.millrace.router.http.ClientRequest;
import dev.millrace.router.http.HardReset;
import dev.millrace.router.http.HeaderRules;
import dev.millrace.router.http.LargeBody;
import dev.millrace.router.http.RequestId;
import dev.millrace.router.pools.Worker;
import io.vertx.core.MultiMap;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClientRequest;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.RequestOptions;
import java.time.Duration;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * One HTTP exchange with a worker, from connect to its last byte.
 *
 * <p>It is open from its creation until {@link #close} or {@link #reset}, and counted on its worker
 * all that time. A reset closes the connection, which tells an engine to stop; it works in every
 * state, also while the connection is still being opened.
 */
final class Leg {
  /** What happens on a leg. After {@link #failed} nothing does. */
  interface Events {
    /** There is a connection; the request is about to be written. */
    void connected();

    /** The head of the answer is there; its body has not begun to flow. */
    void answered(HttpClientResponse response);

    /** There will be no answer, or no more of it. */
    void failed(Fault fault);

    /** Whether a failure of the worker need not be held against it. */
    default boolean mayBeAnothersFault(Fault fault) {
      return false;
    }

    /** The leg is over, however it ended. */
    default void closed() {}
  }

  private static final CharSequence JSON = HttpHeaders.createOptimized("application/json");
  private static final CharSequence REQUEST_ID = HttpHeaders.createOptimized(RequestId.HEADER);

  /**
   * When a connection that had been idle is closed, and no byte of an answer has come, later than
   * this after the request was sent, then its worker was not just closing it: it had the request.
   */
  private static final Duration CROSSES_WITHIN = Duration.ofSeconds(1);

  private final Lane lane;
  private final Worker worker;
  private final Events events;
  private @Nullable HttpClientRequest request;
  private Fault.Connection connection = Fault.Connection.FRESH;
  private long sentNanos;
  private boolean open = true;

  Leg(Lane lane, Worker worker, Events events) {
    this.lane = lane;
    this.worker = worker;
    this.events = events;
    worker.legOpened();
  }

  /** Connects and sends to an endpoint; the client's headers go along as far as they may. */
  void send(Api api, MultiMap clientHeaders, String requestId, Buffer body) {
    send(worker.options(api), api, clientHeaders, requestId, body);
  }

  /** The same, to where the worker has what a client asks for. */
  void send(ClientRequest client, MultiMap clientHeaders, String requestId, Buffer body) {
    send(worker.options(client), client.api(), clientHeaders, requestId, body);
  }

  private void send(
      RequestOptions to, Api api, MultiMap clientHeaders, String requestId, Buffer body) {
    lane.client
        .request(to)
        .onComplete(connected -> {
          if (connected.failed()) {
            worker.refusedAt(lane.now());
            fail(new Fault.Unreachable(worker, reason(connected.cause())));
            return;
          }
          HttpClientRequest request = connected.result();
          // Failures come with the future of the answer as well.
          request.exceptionHandler(e -> {});
          if (open) {
            write(request, api, clientHeaders, requestId, body);
          } else {
            request.reset();
          }
        });
  }

  private void write(
      HttpClientRequest request, Api api, MultiMap clientHeaders, String requestId, Buffer body) {
    this.request = request;
    connection = lane.firstUse(request.connection());
    events.connected();
    MultiMap headers = request.headers();
    HeaderRules.copyToEngine(clientHeaders, headers);
    lane.house.keys().strip(headers);
    String authorization = worker.authorization();
    if (authorization != null) {
      headers.set(HttpHeaders.AUTHORIZATION, authorization);
    }
    if (api.generates() || !headers.contains(HttpHeaders.CONTENT_TYPE)) {
      headers.set(HttpHeaders.CONTENT_TYPE, JSON);
    }
    headers.set(REQUEST_ID, requestId);
    sentNanos = lane.now();
    LargeBody.send(request, body)
        .onComplete(response -> {
          if (response.succeeded()) {
            answered(response.result());
          } else {
            fail(new Fault.Broken(worker, reason(response.cause()), unanswered()));
          }
        });
  }

  /** What a connection counts as that is closed without a byte of an answer. */
  private Fault.Connection unanswered() {
    boolean crossed = lane.now() - sentNanos < CROSSES_WITHIN.toNanos();
    return crossed ? connection : Fault.Connection.FRESH;
  }

  private void answered(HttpClientResponse response) {
    if (open) {
      response.exceptionHandler(e -> broken(reason(e)));
      events.answered(response);
    }
  }

  /** Reads the whole answer; whatever is not one with status 200 and in bounds is a failure. */
  void collect(HttpClientResponse response, long mostBytes, Consumer<Body> whole) {
    Body.collect(response, mostBytes)
        .onComplete(collected -> {
          if (collected.failed()) {
            if (collected.cause() instanceof Body.TooLarge tooLarge) {
              fail(new Fault.Garbage(worker, reason(tooLarge)));
            } else {
              broken(reason(collected.cause()));
            }
          } else if (response.statusCode() == 200) {
            whole.accept(collected.result());
          } else {
            fail(
                new Fault.Answered(
                    worker,
                    response.statusCode(),
                    response.headers(),
                    forTheClient(collected.result())));
          }
        });
  }

  private static Buffer forTheClient(Body error) {
    return switch (Parameters.clean(error.bytes(), error.length())) {
      case Parameters.Cleaned.Clean(Buffer clean) -> clean;
      case Parameters.Cleaned.Failed(_, Buffer clean) -> clean;
      case Parameters.Cleaned.Garbage() -> error.toBuffer();
    };
  }

  /** The answer's body has ended too early. */
  private void broken(String why) {
    // An answer had begun, so the worker was not just closing an idle connection.
    fail(new Fault.Broken(worker, why, Fault.Connection.FRESH));
  }

  /** Ends the leg with a failure that its reader has found. */
  void fail(Fault fault) {
    if (open) {
      worker.legFailed();
      if (!events.mayBeAnothersFault(fault)) {
        fault.count(lane.now());
      }
      reset();
      events.failed(fault);
    }
  }

  /** Whether something may still come of it. */
  boolean isOpen() {
    return open;
  }

  /** The whole answer is there, and is one. */
  void complete() {
    if (open) {
      worker.breaker().succeeded(lane.now());
      close();
    }
  }

  /** The answer has ended. */
  void close() {
    if (open) {
      open = false;
      worker.legClosed();
      events.closed();
    }
  }

  /** Gives the leg up: its connection is closed. */
  void reset() {
    if (open) {
      close();
      if (request != null) {
        HardReset.of(request);
      }
    }
  }

  private static String reason(Throwable cause) {
    String message = cause.getMessage();
    return message == null ? cause.getClass().getSimpleName() : message;
  }
}
