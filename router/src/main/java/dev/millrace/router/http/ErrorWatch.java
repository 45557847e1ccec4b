package dev.millrace.router.http;

import io.netty.buffer.ByteBuf;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.internal.buffer.BufferInternal;
import java.nio.charset.StandardCharsets;
import java.util.regex.Pattern;

/**
 * Notices errors that an engine reports in the middle of a stream, which is passed on as it is: an
 * event that is an error, or a choice that ends with one.
 *
 * <p>The quoted word cannot stand inside a JSON string, where a quote has a backslash before it; so
 * few pieces have it, and only those are looked at closely. An engine writes an event at once: one
 * that comes in two pieces may be missed, and counts as an answer.
 */
public final class ErrorWatch {
  private static final byte[] WORD = "\"error\"".getBytes(StandardCharsets.US_ASCII);
  private static final Pattern REPORT =
      Pattern.compile(
          "data: ?\\{\\s*\"error\"\\s*:\\s*\\{"
              + "|data: ?\\{\\s*\"type\"\\s*:\\s*\"error\""
              + "|\"finish_reason\"\\s*:\\s*\"error\"");

  private boolean reported;

  /** Nothing seen yet. */
  public ErrorWatch() {}

  /** Looks at the next piece. */
  public void look(Buffer piece) {
    if (!reported && piece instanceof BufferInternal internal && hasWord(internal.getByteBuf())) {
      reported = REPORT.matcher(piece.toString(StandardCharsets.UTF_8)).find();
    }
  }

  /** Whether the engine has reported an error. */
  public boolean hasReported() {
    return reported;
  }

  private static boolean hasWord(ByteBuf bytes) {
    int last = bytes.writerIndex() - WORD.length;
    for (int at = bytes.readerIndex(); at <= last; at++) {
      // Its middle is rarer in JSON than its quotes.
      if (bytes.getByte(at + 3) == WORD[3] && matches(bytes, at)) {
        return true;
      }
    }
    return false;
  }

  private static boolean matches(ByteBuf bytes, int at) {
    for (int i = 0; i < WORD.length; i++) {
      if (bytes.getByte(at + i) != WORD[i]) {
        return false;
      }
    }
    return true;
  }
}
