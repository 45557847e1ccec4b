package dev.millrace.router.http;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.internal.buffer.BufferInternal;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Keeps transfer parameters out of a stream that is passed on byte by byte.
 *
 * <p>vLLM's chunks do not carry {@code kv_transfer_params} (0.32.0); should they one day, clients
 * must not get them, for whoever knows them can make an engine read another's blocks. An object or
 * list behind the key becomes {@code null}; all other bytes stay as they are, boundaries between
 * pieces may be anywhere.
 *
 * <p>The key is found as its quoted bytes. They cannot stand inside a JSON string, where a quote
 * has a backslash before it. The search is Boyer-Moore-Horspool's: it looks at every twentieth byte
 * of what is not the key, so that a token costs some nanoseconds.
 */
public final class SecretFilter {
  private static final byte[] KEY = "\"kv_transfer_params\"".getBytes(StandardCharsets.US_ASCII);
  private static final byte[] NULL = "null".getBytes(StandardCharsets.US_ASCII);
  private static final int[] SKIP = skips();

  private enum State {
    /** Looking for the key; {@code matched} bytes of it ended the last piece. */
    SEARCH,
    /** Behind the key: white space, the colon, the value's first byte. */
    BEFORE_VALUE,
    /** Inside an object or list that is dropped. */
    DROP
  }

  private State state = State.SEARCH;
  private int matched;
  private int depth;
  private boolean inString;
  private boolean escaped;

  /** Nothing seen yet. */
  public SecretFilter() {}

  /** What the client may see of the next piece. */
  public Buffer pass(Buffer piece) {
    if (state == State.SEARCH && matched == 0 && piece instanceof BufferInternal internal) {
      ByteBuf bytes = internal.getByteBuf();
      if (bytes.hasArray()) {
        int from = bytes.arrayOffset() + bytes.readerIndex();
        int to = from + bytes.readableBytes();
        if (find(bytes.array(), from, to) < 0 && endsWithKeyPrefix(bytes.array(), from, to) == 0) {
          return piece;
        }
      }
    }
    return slowly(piece.getBytes());
  }

  /** What was held back at the end of a stream, because it might have been the key's beginning. */
  public Buffer rest() {
    int held = matched;
    matched = 0;
    return BufferInternal.buffer(Unpooled.wrappedBuffer(KEY, 0, held));
  }

  private Buffer slowly(byte[] piece) {
    ByteArrayOutputStream out = new ByteArrayOutputStream(piece.length + KEY.length);
    for (byte b : piece) {
      switch (state) {
        case SEARCH -> search(b, out);
        case BEFORE_VALUE -> beforeValue(b, out);
        case DROP -> drop(b);
      }
    }
    return BufferInternal.buffer(Unpooled.wrappedBuffer(out.toByteArray()));
  }

  private void search(byte b, ByteArrayOutputStream out) {
    if (b != KEY[matched]) {
      // Only the first byte of the key is a quote but for the last, so a new match begins here.
      out.write(KEY, 0, matched);
      matched = 0;
    }
    if (b != KEY[matched]) {
      out.write(b);
    } else if (++matched == KEY.length) {
      out.write(KEY, 0, matched);
      matched = 0;
      state = State.BEFORE_VALUE;
    }
  }

  private void beforeValue(byte b, ByteArrayOutputStream out) {
    switch (b) {
      case ':', ' ', '\t', '\r', '\n' -> out.write(b);
      case '{', '[' -> {
        out.writeBytes(NULL);
        depth = 1;
        inString = false;
        escaped = false;
        state = State.DROP;
      }
      default -> {
        state = State.SEARCH;
        search(b, out);
      }
    }
  }

  private void drop(byte b) {
    if (inString) {
      if (escaped) {
        escaped = false;
      } else if (b == '\\') {
        escaped = true;
      } else if (b == '"') {
        inString = false;
      }
      return;
    }
    switch (b) {
      case '"' -> inString = true;
      case '{', '[' -> depth++;
      case '}', ']' -> {
        if (--depth == 0) {
          state = State.SEARCH;
        }
      }
      default -> {}
    }
  }

  private static int find(byte[] bytes, int from, int to) {
    int last = KEY.length - 1;
    for (int at = from; at + last < to; at += SKIP[bytes[at + last] & 0xFF]) {
      int i = last;
      while (bytes[at + i] == KEY[i]) {
        if (i-- == 0) {
          return at;
        }
      }
    }
    return -1;
  }

  /** How many bytes of the key stand at the end. */
  private static int endsWithKeyPrefix(byte[] bytes, int from, int to) {
    for (int at = Math.max(from, to - KEY.length + 1); at < to; at++) {
      if (bytes[at] == KEY[0]) {
        int i = at;
        while (i < to && bytes[i] == KEY[i - at]) {
          i++;
        }
        if (i == to) {
          return to - at;
        }
      }
    }
    return 0;
  }

  private static int[] skips() {
    int[] skips = new int[256];
    Arrays.fill(skips, KEY.length);
    for (int i = 0; i < KEY.length - 1; i++) {
      skips[KEY[i] & 0xFF] = KEY.length - 1 - i;
    }
    return skips;
  }
}
