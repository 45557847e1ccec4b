package dev.millrace.router;

import dev.millrace.router.access.Caller;
import dev.millrace.router.http.ErrorForm;
import dev.millrace.router.http.HeaderRules;
import dev.millrace.router.http.Problem;
import dev.millrace.router.http.RequestId;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.core.http.HttpVersion;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import reactor.core.Disposable;

/** The client's side of an exchange: what is written to it, and whether it is still there. */
final class Reply {
  private static final CharSequence REQUEST_ID = HttpHeaders.createOptimized(RequestId.HEADER);
  private static final CharSequence JSON = HttpHeaders.createOptimized("application/json");
  private static final CharSequence CLOSE = HttpHeaders.createOptimized("close");
  private static final CharSequence AUTHENTICATE = HttpHeaders.createOptimized("www-authenticate");
  private static final CharSequence BEARER = HttpHeaders.createOptimized("Bearer");

  /** How long a refused client may go on sending before it is cut off. */
  private static final Duration LINGER = Duration.ofSeconds(2);

  /** Of HTTP/2 (RFC 9113, 7). */
  private static final long NO_ERROR = 0;

  private static final long INTERNAL_ERROR = 2;

  private final Lane lane;
  private final HttpServerRequest request;
  private final HttpServerResponse response;
  private final String requestId;
  private final ErrorForm errors;
  private @Nullable Caller limited;

  Reply(Lane lane, HttpServerRequest request, String requestId, ErrorForm errors) {
    this.lane = lane;
    this.request = request;
    this.response = request.response();
    this.requestId = requestId;
    this.errors = errors;
  }

  /** What is left of a caller's limits is said with every answer. */
  void limitsOf(Caller caller) {
    limited = caller;
  }

  private void tellLimits() {
    if (limited != null) {
      limited.tellLimits(response.headers(), lane.now());
    }
  }

  /** Calls back once the connection is gone before the answer was complete. */
  void onClientLeft(Runnable left) {
    response.closeHandler(v -> left.run());
    response.exceptionHandler(e -> left.run());
  }

  /** Writes the last bytes of whatever ending it is, and says which status the client got. */
  int finish(Ending ending) {
    if (response.closed() || response.ended()) {
      return 0;
    }
    switch (ending) {
      case Ending.Whole whole -> {
        HeaderRules.copyToClient(whole.headers(), response.headers());
        send(whole.status(), whole.body());
      }
      case Ending.Streamed(Buffer last) -> response.end(last);
      case Ending.StreamedError(Buffer last) -> response.end(last);
      case Ending.Failed(Fault fault) -> fail(fault);
      case Ending.Refused(Problem problem) -> refuse(problem);
      case Ending.ClientLeft() -> {
        return 0;
      }
    }
    return response.getStatusCode();
  }

  /** Gives a stream's events to the client, after this. */
  HttpServerResponse stream() {
    if (request.version() == HttpVersion.HTTP_1_0) {
      // There are no chunks in HTTP/1.0: the end of the stream is the end of the connection.
      // Vert.x writes keep-alive to a client that asked for it, so close comes after that.
      response.headersEndHandler(v -> response.headers().set(HttpHeaders.CONNECTION, CLOSE));
      response.endHandler(v -> closeAfterWhatIsWritten());
    } else {
      response.setChunked(true);
    }
    response.headers().set(REQUEST_ID, requestId);
    tellLimits();
    return response;
  }

  /** Whether something was written that cannot be taken back. */
  boolean hasBegun() {
    return response.headWritten();
  }

  private void fail(Fault fault) {
    if (fault instanceof Fault.Answered answered && !hasBegun()) {
      HeaderRules.copyToClient(answered.headers(), response.headers());
      send(answered.status(), answered.body());
    } else {
      refuse(fault.problem());
    }
  }

  private void refuse(Problem problem) {
    if (hasBegun()) {
      response.end(Buffer.buffer(problem.event(requestId, errors)));
      return;
    }
    response.headers().set(HttpHeaders.CONTENT_TYPE, JSON);
    if (problem.retry().afterSeconds() > 0) {
      response.headers().set(HttpHeaders.RETRY_AFTER, "" + problem.retry().afterSeconds());
    }
    if (problem.status() == 401) {
      response.headers().set(AUTHENTICATE, BEARER);
    }
    send(problem.status(), Buffer.buffer(problem.body(requestId, errors)));
  }

  private void send(int status, Buffer body) {
    response.headers().set(REQUEST_ID, requestId);
    tellLimits();
    response.setStatusCode(status);
    if (request.isEnded()) {
      response.end(body);
      return;
    }
    if (isOneOfMany()) {
      // Its stream ends by itself or with this; others on the connection have nothing to do with
      // it.
      Disposable cut =
          lane.scheduler.schedule(
              () -> response.reset(NO_ERROR), LINGER.toMillis(), TimeUnit.MILLISECONDS);
      request.exceptionHandler(e -> cut.dispose());
      request.handler(b -> {});
      request.endHandler(v -> cut.dispose());
      response.end(body);
      return;
    }
    // The rest of the request is read and dropped, so that a reset does not overtake the answer;
    // but not for ever. Vert.x itself closes only where the request asked for it.
    Disposable cut =
        lane.scheduler.schedule(this::hangUp, LINGER.toMillis(), TimeUnit.MILLISECONDS);
    request.exceptionHandler(e -> cut.dispose());
    request.handler(b -> {});
    request.endHandler(v -> {
      cut.dispose();
      // Unlike a close, this also drops requests that have been read behind this one already: who
      // answers "connection: close" must not process them (RFC 9112, 9.6).
      request.connection().shutdown(LINGER.toMillis(), TimeUnit.MILLISECONDS);
    });
    response.headers().set(HttpHeaders.CONNECTION, CLOSE);
    response.end(body);
  }

  private void closeAfterWhatIsWritten() {
    lane.scheduler.schedule(this::hangUp);
  }

  /** Closes the connection or, of HTTP/2, the stream, after what was written to it. */
  void hangUp() {
    if (isOneOfMany()) {
      response.reset(INTERNAL_ERROR);
    } else {
      request.connection().close();
    }
  }

  /** Whether other exchanges share its connection. */
  private boolean isOneOfMany() {
    return request.version() == HttpVersion.HTTP_2;
  }
}
