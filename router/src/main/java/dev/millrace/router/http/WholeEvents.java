package dev.millrace.router.http;

import io.netty.buffer.ByteBuf;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.internal.buffer.BufferInternal;
import org.jspecify.annotations.Nullable;

/**
 * Passes server-sent events on whole: what has come of the next one is held until its blank line
 * has come too, so that a client is never left with half of one when its engine dies. Comments are
 * passed on line by line. Boundaries between pieces may be anywhere, and lines end with LF, CRLF or
 * CR.
 *
 * <p>Engines write events at once, so that nearly all pieces end with a blank line; they pass
 * untouched after a look at their last bytes. At most {@value #MOST_HELD_BYTES} bytes are held: the
 * rest of a larger event passes as it comes.
 */
public final class WholeEvents {
  /** What is held at most. */
  public static final int MOST_HELD_BYTES = 64 << 10;

  private static final Buffer NOTHING = Buffer.buffer(0);

  private @Nullable Buffer held;
  private boolean cut;
  private boolean inLine;
  private boolean inEvent;
  private boolean afterCarriageReturn;

  /** Nothing seen yet. */
  public WholeEvents() {}

  /** What the client gets after the next piece. */
  public Buffer pass(Buffer piece) {
    int length = piece.length();
    if (length == 0) {
      return piece;
    }
    int whole = endsWithBlankLine(piece) ? allOf(piece) : endOfLast(piece);
    if (whole == length) {
      cut = false;
      return behindHeld(piece);
    }
    if (whole < 0) {
      return cut ? piece : hold(NOTHING, piece);
    }
    cut = false;
    return hold(behindHeld(piece.slice(0, whole)), piece.slice(whole, length));
  }

  /** What is held at the end of a stream. */
  public Buffer rest() {
    return behindHeld(NOTHING);
  }

  /** Whether the client has the beginning of an event of which the end has not come. */
  public boolean isCut() {
    return cut;
  }

  private Buffer behindHeld(Buffer piece) {
    Buffer before = held;
    held = null;
    return before == null ? piece : before.appendBuffer(piece);
  }

  private Buffer hold(Buffer whole, Buffer part) {
    Buffer more = held == null ? Buffer.buffer(2 * part.length()) : held;
    held = more.appendBuffer(part);
    if (more.length() <= MOST_HELD_BYTES) {
      return whole;
    }
    cut = true;
    held = null;
    return whole.length() == 0 ? more : Buffer.buffer().appendBuffer(whole).appendBuffer(more);
  }

  private static boolean endsWithBlankLine(Buffer piece) {
    int last = piece.length() - 1;
    if (last < 1 || piece.getByte(last) != '\n') {
      return false;
    }
    byte before = piece.getByte(last - 1);
    return before == '\n' || (before == '\r' && last > 1 && piece.getByte(last - 2) == '\n');
  }

  private int allOf(Buffer piece) {
    inLine = false;
    inEvent = false;
    afterCarriageReturn = false;
    return piece.length();
  }

  /** Where the last event that is whole, or comment, ends in a piece; -1 if none does. */
  private int endOfLast(Buffer piece) {
    ByteBuf bytes = ((BufferInternal) piece).getByteBuf();
    int from = bytes.readerIndex();
    int end = -1;
    for (int at = from; at < bytes.writerIndex(); at++) {
      byte b = bytes.getByte(at);
      if (b != '\n' && b != '\r') {
        inEvent |= !inLine && b != ':';
        inLine = true;
        afterCarriageReturn = false;
        continue;
      }
      boolean secondOfTwo = b == '\n' && afterCarriageReturn;
      // A line end behind a line end is a blank line, and ends an event.
      inEvent &= inLine || secondOfTwo;
      inLine = false;
      afterCarriageReturn = b == '\r';
      if (!inEvent) {
        end = at + 1 - from;
      }
    }
    return end;
  }
}
