package dev.millrace.simulator.http;

import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpServerRequest;

/** Collects request bodies up to a limit. */
final class Bodies {
  /** The body is longer than the limit. The rest of it is read and dropped. */
  static final class TooLarge extends Exception {
    private static final long serialVersionUID = 1;

    TooLarge(int limitBytes) {
      super("body of more than " + limitBytes + " bytes", null, false, false);
    }
  }

  private Bodies() {}

  static Future<Buffer> collect(HttpServerRequest request, int limitBytes) {
    Promise<Buffer> whole = Promise.promise();
    Buffer body = Buffer.buffer();
    request.handler(chunk -> {
      if (body.length() + chunk.length() > limitBytes) {
        whole.tryFail(new TooLarge(limitBytes));
      } else {
        body.appendBuffer(chunk);
      }
    });
    request.exceptionHandler(whole::tryFail);
    request.endHandler(end -> whole.tryComplete(body));
    return whole.future();
  }
}
