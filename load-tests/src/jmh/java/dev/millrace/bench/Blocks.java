package dev.millrace.bench;

import dev.millrace.layout.RunCursor;
import dev.millrace.layout.Runs;
import java.util.Random;

/** All blocks of some memory, in order or each side in an order of its own. */
final class Blocks implements Runs {
  private final long source;
  private final long target;
  private final int bytes;
  private final int[] from;
  private final int[] to;

  private Blocks(long source, long target, int bytes, int[] from, int[] to) {
    this.source = source;
    this.target = target;
    this.bytes = bytes;
    this.from = from;
    this.to = to;
  }

  static Blocks inOrder(long source, long target, int bytes, int count) {
    return new Blocks(source, target, bytes, identity(count), identity(count));
  }

  static Blocks scattered(long source, long target, int bytes, int count) {
    return new Blocks(source, target, bytes, shuffled(count, 7), shuffled(count, 8));
  }

  private static int[] identity(int count) {
    int[] slots = new int[count];
    for (int i = 0; i < count; i++) {
      slots[i] = i;
    }
    return slots;
  }

  private static int[] shuffled(int count, long seed) {
    int[] slots = identity(count);
    Random random = new Random(seed);
    for (int i = count - 1; i > 0; i--) {
      int j = random.nextInt(i + 1);
      int slot = slots[i];
      slots[i] = slots[j];
      slots[j] = slot;
    }
    return slots;
  }

  int count() {
    return from.length;
  }

  /** Size of a block. */
  int bytes() {
    return bytes;
  }

  /** Where a block is taken from, counted from the start of the memory. */
  long sourceOffset(int block) {
    return (long) from[block] * bytes;
  }

  long targetOffset(int block) {
    return (long) to[block] * bytes;
  }

  @Override
  public RunCursor cursor() {
    return new RunCursor() {
      private int index = -1;

      @Override
      public boolean next() {
        return ++index < from.length;
      }

      @Override
      public long sourceAddress() {
        return source + sourceOffset(index);
      }

      @Override
      public long targetAddress() {
        return target + targetOffset(index);
      }

      @Override
      public long bytes() {
        return bytes;
      }
    };
  }
}
