package dev.millrace.transfer.sidechannel;

import java.io.IOException;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.msgpack.core.MessageFormat;
import org.msgpack.core.MessagePack;
import org.msgpack.core.MessagePackException;
import org.msgpack.core.MessageUnpacker;
import org.msgpack.value.ValueType;

/**
 * Reads msgpack of which nothing is trusted: a declared length is compared with the bytes that are
 * left before anything is allocated for it.
 */
final class MsgpackReader {
  private final byte[] bytes;
  private final MessageUnpacker in;
  private String where;

  MsgpackReader(byte[] bytes, String where) {
    this.bytes = bytes;
    this.in = MessagePack.newDefaultUnpacker(bytes);
    this.where = where;
  }

  /** Reads one element; may fail in msgpack's or this class's ways. */
  @FunctionalInterface
  interface Element<T> {
    T read() throws IOException;
  }

  /**
   * Runs {@code reading}, which must use up all bytes, and turns what it throws into our failure.
   */
  <T> T whole(Element<T> reading) {
    try {
      T value = reading.read();
      if (left() != 0) {
        throw malformed(left() + " bytes follow after the end");
      }
      return value;
    } catch (CharacterCodingException e) {
      throw malformed("a text is not UTF-8");
    } catch (MessagePackException | IOException e) {
      throw new MalformedHandshake(
          "%s, at byte %d of %d: %s".formatted(where, in.getTotalReadBytes(), bytes.length, e), e);
    }
  }

  /** What is being read, for messages. */
  void at(String what) {
    where = what;
  }

  MalformedHandshake malformed(String what) {
    return new MalformedHandshake(
        "%s, at byte %d of %d: %s".formatted(where, in.getTotalReadBytes(), bytes.length, what));
  }

  private long left() {
    return bytes.length - in.getTotalReadBytes();
  }

  /** A declared length that cannot be true is refused: each counted thing takes a byte at least. */
  private int believable(int declared, int bytesEach) {
    if (declared < 0 || (long) declared * bytesEach > left()) {
      throw malformed(
          "%d declared where %d bytes are left"
              .formatted(Integer.toUnsignedLong(declared), left()));
    }
    return declared;
  }

  int mapHeader() throws IOException {
    return believable(in.unpackMapHeader(), 2);
  }

  int arrayHeader() throws IOException {
    return believable(in.unpackArrayHeader(), 1);
  }

  String text() throws IOException {
    int length = believable(in.unpackRawStringHeader(), 1);
    return StandardCharsets.UTF_8
        .newDecoder()
        .decode(ByteBuffer.wrap(in.readPayload(length)))
        .toString();
  }

  byte[] binary() throws IOException {
    return in.readPayload(believable(in.unpackBinaryHeader(), 1));
  }

  boolean nextIsBinary() throws IOException {
    return in.hasNext() && in.getNextFormat().getValueType() == ValueType.BINARY;
  }

  int number() throws IOException {
    return in.unpackInt();
  }

  /** A number that is not negative, up to 64 bits. */
  long unsigned() throws IOException {
    if (in.getNextFormat() == MessageFormat.UINT64) {
      BigInteger value = in.unpackBigInteger();
      return value.longValue();
    }
    long value = in.unpackLong();
    if (value < 0) {
      throw malformed(value + " is negative");
    }
    return value;
  }

  /** A size: not negative, within 63 bits. */
  long size() throws IOException {
    long value = in.unpackLong();
    if (value < 0) {
      throw malformed(value + " is negative");
    }
    return value;
  }

  double floating() throws IOException {
    return in.unpackDouble();
  }

  <T> List<T> list(Element<T> element) throws IOException {
    int count = arrayHeader();
    List<T> list = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      list.add(element.read());
    }
    return list;
  }

  <T> Optional<T> orNil(Element<T> element) throws IOException {
    return in.tryUnpackNil() ? Optional.empty() : Optional.of(element.read());
  }

  void skip() throws IOException {
    in.skipValue();
  }

  /** The next value as it is encoded. */
  Blob raw() throws IOException {
    int from = (int) in.getTotalReadBytes();
    in.skipValue();
    return Blob.of(Arrays.copyOfRange(bytes, from, (int) in.getTotalReadBytes()));
  }
}
