package dev.millrace.transfer.nixl;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Set;

/**
 * What is read of an engine's metadata as NIXL writes them (1.3 to 1.5), before NIXL gets them:
 *
 * <pre>
 * nixlSerDes | Agent, its name | … connections … | MemSection | … | nixlSDList | t, type of memory | …
 * </pre>
 *
 * <p>A value is led by its length, 8 bytes; numbers are little-endian.
 */
final class NixlMetadata {
  private static final byte[] START = ascii("nixlSerDes|Agent");
  private static final byte[] SECTIONS = ascii("MemSection");
  private static final byte[] TYPE = ascii("nixlSDList|t\u0004\0\0\0\0\0\0\0");
  private static final int MOST_NAME_BYTES = 128;

  private final byte[] metadata;

  NixlMetadata(byte[] metadata) {
    this.metadata = metadata.clone();
  }

  private static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }

  /**
   * The agent's name. It is not in the handshake itself, and the transport must know it beforehand.
   *
   * @throws IllegalArgumentException if these are no metadata of NIXL
   */
  String agentName() {
    int name = START.length + Long.BYTES;
    if (metadata.length <= name || !startsAt(0, START)) {
      throw new IllegalArgumentException(
          "its metadata are not NIXL's; leave nixl-version out for an engine that is not vLLM");
    }
    long length = littleEndian().getLong(START.length);
    if (length < 1 || length > MOST_NAME_BYTES || length > metadata.length - name) {
      throw new IllegalArgumentException("an agent name of %d bytes".formatted(length));
    }
    return new String(metadata, name, (int) length, StandardCharsets.UTF_8);
  }

  /** Where the registered memory is, as far as it is host or GPU memory. */
  Set<MemoryKind> memory() {
    Set<MemoryKind> kinds = EnumSet.noneOf(MemoryKind.class);
    int at = find(SECTIONS, START.length);
    while (at >= 0) {
      at = find(TYPE, at);
      if (at >= 0) {
        at += TYPE.length;
        kinds.addAll(kind(at));
      }
    }
    return kinds;
  }

  private Set<MemoryKind> kind(int at) {
    if (metadata.length - at < Integer.BYTES) {
      return Set.of();
    }
    int code = littleEndian().getInt(at);
    EnumSet<MemoryKind> kinds = EnumSet.allOf(MemoryKind.class);
    kinds.removeIf(kind -> kind.code() != code);
    return kinds;
  }

  private ByteBuffer littleEndian() {
    return ByteBuffer.wrap(metadata).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** Where bytes begin, at the earliest at {@code from}; -1 if nowhere. */
  private int find(byte[] wanted, int from) {
    for (int at = from; at <= metadata.length - wanted.length; at++) {
      if (startsAt(at, wanted)) {
        return at;
      }
    }
    return -1;
  }

  private boolean startsAt(int at, byte[] wanted) {
    return Arrays.equals(metadata, at, at + wanted.length, wanted, 0, wanted.length);
  }
}
