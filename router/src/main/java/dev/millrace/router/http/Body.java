package dev.millrace.router.http;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.internal.buffer.BufferInternal;
import io.vertx.core.streams.ReadStream;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A whole body in one array.
 *
 * <p>With {@code Content-Length} the array has that size, so that nothing is copied twice; what a
 * peer announces is believed up to {@value #BELIEVED_BYTES} bytes, beyond that the array grows with
 * what really comes. A body that arrives in one piece is not copied at all.
 */
public final class Body {
  private static final int BELIEVED_BYTES = 1 << 20;

  /** A body is larger than it may be. */
  public static final class TooLarge extends Exception {
    TooLarge(long mostBytes) {
      super("more than " + mostBytes + " bytes");
    }

    @Override
    public synchronized Throwable fillInStackTrace() {
      return this;
    }
  }

  private static final byte[] EMPTY = {};

  private final long announced;
  private byte[] bytes = EMPTY;
  private int length;

  private Body(long announced) {
    this.announced = announced;
  }

  /** The bytes; valid from 0 to {@link #length}. */
  public byte[] bytes() {
    return bytes;
  }

  /** How many bytes there are. */
  public int length() {
    return length;
  }

  /** The bytes as a buffer, not copied. */
  public Buffer toBuffer() {
    return BufferInternal.buffer(Unpooled.wrappedBuffer(bytes, 0, length));
  }

  /** The body of an answer; fails if the connection breaks or the bound is passed. */
  public static Future<Body> collect(HttpClientResponse response, long mostBytes) {
    return collect(response, response.getHeader("content-length"), mostBytes);
  }

  /** The body of a request; fails if the connection breaks or the bound is passed. */
  public static Future<Body> collect(HttpServerRequest request, long mostBytes) {
    return collect(request, request.getHeader("content-length"), mostBytes);
  }

  private static Future<Body> collect(
      ReadStream<Buffer> stream, @Nullable String contentLength, long mostBytes) {
    long announced = parse(contentLength);
    if (announced > mostBytes) {
      return Future.failedFuture(new TooLarge(mostBytes));
    }
    Promise<Body> promise = Promise.promise();
    Body body = new Body(announced);
    stream.exceptionHandler(promise::tryFail);
    stream.endHandler(v -> promise.tryComplete(body));
    stream.handler(chunk -> {
      if (body.length + (long) chunk.length() > mostBytes) {
        promise.tryFail(new TooLarge(mostBytes));
      } else if (!promise.future().isComplete()) {
        body.append(chunk);
      }
    });
    return promise.future();
  }

  private void append(Buffer chunk) {
    int more = chunk.length();
    if (length == 0 && (more == announced || announced <= 0)) {
      ByteBuf buffer = ((BufferInternal) chunk).getByteBuf();
      if (buffer.hasArray() && buffer.arrayOffset() == 0 && buffer.readerIndex() == 0) {
        bytes = buffer.array();
        length = more;
        return;
      }
    }
    if (bytes.length - length < more) {
      long wanted = length == 0 ? Math.min(announced, BELIEVED_BYTES) : 2L * bytes.length;
      wanted = Math.max(wanted, (long) length + more);
      if (announced > 0) {
        wanted = Math.min(wanted, Math.max(announced, (long) length + more));
      }
      bytes = Arrays.copyOf(bytes, Math.toIntExact(wanted));
    }
    chunk.getBytes(bytes, length);
    length += more;
  }

  private static long parse(@Nullable String contentLength) {
    if (contentLength == null) {
      return -1;
    }
    try {
      return Long.parseLong(contentLength);
    } catch (NumberFormatException e) {
      return -1;
    }
  }
}
