package dev.millrace.router.choose;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * Hashes of 64 bits, the same in every router on every machine: what replicas agree on without a
 * word between them.
 *
 * <p>{@code h ← mix(h ⊕ word)} for each eight bytes, little-endian, the last ones filled up with
 * zeros; {@code mix} is the finalizer of SplitMix64. Who crafts a collision sends his own requests
 * where another's went, and gains nothing by it.
 */
public final class Fingerprint {
  private static final VarHandle WORD =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  private Fingerprint() {}

  /** Of a text by itself. */
  public static long of(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    return of(0, bytes, 0, bytes.length);
  }

  /** Of the bytes {@code [from, to)} of a text behind something that has a hash already. */
  static long of(long before, byte[] text, int from, int to) {
    long hash = before + (to - from);
    int at = from;
    for (; at + Long.BYTES <= to; at += Long.BYTES) {
      hash = mix(hash ^ (long) WORD.get(text, at));
    }
    long rest = 0;
    for (int shift = 0; at < to; at++, shift += Byte.SIZE) {
      rest |= (text[at] & 0xFFL) << shift;
    }
    return mix(hash ^ rest);
  }

  /** Of two hashes in this order. */
  public static long of(long first, long second) {
    return mix(mix(first) ^ second);
  }

  private static long mix(long z) {
    long hash = z + 0x9E3779B97F4A7C15L;
    hash = (hash ^ (hash >>> 30)) * 0xBF58476D1CE4E5B9L;
    hash = (hash ^ (hash >>> 27)) * 0x94D049BB133111EBL;
    return hash ^ (hash >>> 31);
  }
}
