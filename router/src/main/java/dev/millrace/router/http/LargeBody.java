package dev.millrace.router.http;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.PooledByteBufAllocator;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClientRequest;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.internal.buffer.BufferInternal;

/**
 * Sends a body, a large one from memory that the socket can write from.
 *
 * <p>A large body is a chain of slices ({@link Splice}). Netty joins those in an array of that size
 * before it copies them to where the socket finds them; here they are copied once. The memory is
 * given back when the write has ended, in whichever way: from then on Netty does not look at it.
 */
public final class LargeBody {
  private LargeBody() {}

  /** Ends a request with a body; the answer to it. */
  public static Future<HttpClientResponse> send(HttpClientRequest request, Buffer body) {
    if (body.length() < Splice.CHAIN_FROM_BYTES) {
      return request.send(body);
    }
    ByteBuf chain = ((BufferInternal) body).getByteBuf();
    ByteBuf memory = PooledByteBufAllocator.DEFAULT.directBuffer(body.length());
    chain.getBytes(chain.readerIndex(), memory, body.length());
    var _ = request.end(BufferInternal.buffer(memory)).onComplete(ended -> memory.release());
    return request.response();
  }
}
