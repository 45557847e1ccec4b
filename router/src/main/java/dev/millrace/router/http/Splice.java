package dev.millrace.router.http;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.internal.buffer.BufferInternal;
import java.util.Arrays;

/**
 * A body made of a source's bytes with some ranges replaced, removed or put in.
 *
 * <p>Edits come in ascending order. A removed member takes one comma with it: the one before it, or
 * the one behind it when nothing before it was kept. White space around it stays.
 *
 * <p>Nothing is copied until {@link #toBuffer}, and a large body not even then: it becomes a chain
 * of slices of the source, which the socket copies once.
 */
public final class Splice {
  /** Below this, one array is cheaper to write than a chain of slices. */
  static final int CHAIN_FROM_BYTES = 16 << 10;

  private final byte[] source;
  private final int sourceLength;
  private byte[][] pieces = new byte[16][];
  private int[] froms = new int[16];
  private int[] tos = new int[16];
  private int count;
  private int length;
  private int at;
  private int removedMembers;

  /** Begins with the bytes {@code [0, sourceLength)} of a source, none of them edited yet. */
  public Splice(byte[] source, int sourceLength) {
    this.source = source;
    this.sourceLength = sourceLength;
  }

  /** Puts other bytes in the place of {@code [from, to)}. */
  public Splice replace(int from, int to, byte[] with) {
    return replace(from, to, with, 0, with.length);
  }

  /** Puts another buffer in the place of {@code [from, to)}; its bytes must not change. */
  public Splice replace(int from, int to, Buffer with) {
    ByteBuf bytes = ((BufferInternal) with).getByteBuf();
    if (!bytes.hasArray()) {
      return replace(from, to, with.getBytes());
    }
    int first = bytes.arrayOffset() + bytes.readerIndex();
    return replace(from, to, bytes.array(), first, first + bytes.readableBytes());
  }

  /** Puts a range of other bytes in the place of {@code [from, to)}. */
  public Splice replace(int from, int to, byte[] with, int withFrom, int withTo) {
    if (from < at || to < from || to > sourceLength) {
      throw new IllegalArgumentException(
          "edit [%d, %d) of %d bytes after %d".formatted(from, to, sourceLength, at));
    }
    append(source, at, from);
    append(with, withFrom, withTo);
    at = to;
    return this;
  }

  /**
   * Takes a member out of the root object.
   *
   * @param ordinal how many members stand before it in the source
   * @param nameStart where its name begins
   * @param valueEnd where its value ends
   */
  public Splice removeMember(int ordinal, int nameStart, int valueEnd) {
    int from = nameStart;
    int to = valueEnd;
    if (ordinal == removedMembers) {
      int next = afterWhiteSpace(valueEnd);
      if (next < sourceLength && source[next] == ',') {
        to = next + 1;
      }
    } else {
      from = commaBefore(nameStart);
    }
    removedMembers++;
    return replace(from, to, source, 0, 0);
  }

  /** How many members {@link #removeMember} has taken out. */
  public int removedMembers() {
    return removedMembers;
  }

  /** The body. The splice is done with. */
  public Buffer toBuffer() {
    append(source, at, sourceLength);
    at = sourceLength;
    return length < CHAIN_FROM_BYTES ? copied() : chained();
  }

  private Buffer copied() {
    byte[] body = new byte[length];
    int to = 0;
    for (int i = 0; i < count; i++) {
      int size = tos[i] - froms[i];
      System.arraycopy(pieces[i], froms[i], body, to, size);
      to += size;
    }
    return BufferInternal.buffer(Unpooled.wrappedBuffer(body));
  }

  private Buffer chained() {
    ByteBuf[] slices = new ByteBuf[count];
    for (int i = 0; i < count; i++) {
      slices[i] = Unpooled.wrappedBuffer(pieces[i], froms[i], tos[i] - froms[i]);
    }
    return BufferInternal.buffer(Unpooled.wrappedBuffer(count, slices));
  }

  private void append(byte[] from, int start, int end) {
    if (start == end) {
      return;
    }
    if (count == pieces.length) {
      pieces = Arrays.copyOf(pieces, 2 * count);
      froms = Arrays.copyOf(froms, 2 * count);
      tos = Arrays.copyOf(tos, 2 * count);
    }
    pieces[count] = from;
    froms[count] = start;
    tos[count] = end;
    count++;
    length = Math.addExact(length, end - start);
  }

  private int afterWhiteSpace(int from) {
    int next = from;
    while (next < sourceLength && isWhiteSpace(source[next])) {
      next++;
    }
    return next;
  }

  private int commaBefore(int nameStart) {
    int comma = nameStart - 1;
    while (comma >= 0 && isWhiteSpace(source[comma])) {
      comma--;
    }
    if (comma < 0 || source[comma] != ',') {
      throw new IllegalArgumentException("no comma before the member at " + nameStart);
    }
    return comma;
  }

  private static boolean isWhiteSpace(byte b) {
    return b == ' ' || b == '\n' || b == '\r' || b == '\t';
  }
}
