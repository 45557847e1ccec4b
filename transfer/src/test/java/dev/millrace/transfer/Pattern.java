package dev.millrace.transfer;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Memory of which every word is different, the same in every process. */
public final class Pattern {
  private static final ValueLayout.OfLong WORD = ValueLayout.JAVA_LONG_UNALIGNED;

  private Pattern() {}

  public static MemorySegment memory(Arena arena, long bytes, long seed) {
    MemorySegment memory = arena.allocate(bytes, 64);
    for (long at = 0; at + 8 <= bytes; at += 8) {
      memory.set(WORD, at, (seed + at) * 0x9e3779b97f4a7c15L);
    }
    for (long at = bytes & ~7; at < bytes; at++) {
      memory.set(ValueLayout.JAVA_BYTE, at, (byte) (at * 31 + seed));
    }
    return memory;
  }

  /** Memory that looks like nothing a read brings. */
  public static MemorySegment blank(Arena arena, long bytes) {
    return arena.allocate(bytes, 64).fill((byte) 0xee);
  }
}
