package dev.millrace.router.http;

import io.vertx.core.http.HttpClientRequest;
import io.vertx.core.net.impl.ConnectionBase;

/**
 * Gives a request up at once. Vert.x closes a connection only after what was written to it has
 * left; an engine that hangs, and does not read, would keep connection and body for as long as it
 * hangs.
 */
public final class HardReset {
  private HardReset() {}

  /** Closes the request's connection, with what has not been sent; on its event loop. */
  public static void of(HttpClientRequest request) {
    var _ = request.reset();
    if (request.connection() instanceof ConnectionBase connection) {
      // From Vert.x's handler outwards: a close of the whole pipeline is what Vert.x holds back.
      var _ = connection.channelHandlerContext().close();
    }
  }
}
