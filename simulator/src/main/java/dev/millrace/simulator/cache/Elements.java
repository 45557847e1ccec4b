package dev.millrace.simulator.cache;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** Elements of a cache as unsigned numbers, little-endian whatever the machine. */
final class Elements {
  static final ValueLayout.OfLong WORD =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt FOUR =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort TWO =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private Elements() {}

  static long get(MemorySegment memory, long offset, int bytes) {
    return switch (bytes) {
      case 1 -> memory.get(ValueLayout.JAVA_BYTE, offset) & 0xFFL;
      case 2 -> memory.get(TWO, offset) & 0xFFFFL;
      case 4 -> memory.get(FOUR, offset) & 0xFFFF_FFFFL;
      default -> throw new AssertionError(bytes);
    };
  }

  /** Sets an element to the lowest bits of a number. */
  static void set(MemorySegment memory, long offset, int bytes, long bits) {
    switch (bytes) {
      case 1 -> memory.set(ValueLayout.JAVA_BYTE, offset, (byte) bits);
      case 2 -> memory.set(TWO, offset, (short) bits);
      case 4 -> memory.set(FOUR, offset, (int) bits);
      default -> throw new AssertionError(bytes);
    }
  }
}
