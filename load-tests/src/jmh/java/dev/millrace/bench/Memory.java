package dev.millrace.bench;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Memory of which every word is different, the same in every process. */
final class Memory {
  private static final long GOLDEN = 0x9e3779b97f4a7c15L;

  private Memory() {}

  static MemorySegment filled(Arena arena, long bytes) {
    MemorySegment memory = arena.allocate(bytes, 4096);
    for (long at = 0; at < bytes; at += 8) {
      memory.set(ValueLayout.JAVA_LONG, at, word(at));
    }
    return memory;
  }

  static MemorySegment blank(Arena arena, long bytes) {
    return arena.allocate(bytes, 4096).fill((byte) 0xee);
  }

  /** Fails unless every block lies where it was read to. */
  static void check(MemorySegment target, Blocks blocks) {
    for (int i = 0; i < blocks.count(); i++) {
      long from = blocks.sourceOffset(i);
      long to = blocks.targetOffset(i);
      for (long at = 0; at < blocks.bytes(); at += 8) {
        if (target.get(ValueLayout.JAVA_LONG, to + at) != word(from + at)) {
          throw new IllegalStateException("a wrong word at " + (to + at));
        }
      }
    }
  }

  /** The word that {@link #filled} memory has at an offset. */
  static long word(long at) {
    return (at + 5) * GOLDEN;
  }
}
