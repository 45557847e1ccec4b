package dev.millrace.transfer;

import dev.millrace.layout.RunCursor;
import dev.millrace.layout.Runs;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;

/** Runs written down one by one, with something that may happen when the walk reaches one. */
public final class RunList implements Runs {
  private record Run(long source, long target, long bytes) {}

  private final List<Run> runs = new ArrayList<>();
  private int eventAt = -1;
  private Runnable event = () -> {};

  /** Appends a run. */
  public RunList add(long source, long target, long bytes) {
    runs.add(new Run(source, target, bytes));
    return this;
  }

  /** Calls {@code action} when the walk reaches the run of this index. */
  public RunList when(int index, Runnable action) {
    eventAt = index;
    event = action;
    return this;
  }

  /**
   * {@code count} runs of {@code bytes} bytes in slots of both memories, each side in an order of
   * its own.
   */
  public static RunList scattered(
      int count, int bytes, MemorySegment source, MemorySegment target, long seed) {
    RunList list = new RunList();
    List<Integer> from = slots(count);
    List<Integer> to = slots(count);
    Collections.shuffle(from, new Random(seed));
    Collections.shuffle(to, new Random(seed + 1));
    long fromStride = source.byteSize() / count;
    long toStride = target.byteSize() / count;
    for (int i = 0; i < count; i++) {
      list.add(
          source.address() + from.get(i) * fromStride,
          target.address() + to.get(i) * toStride,
          bytes);
    }
    return list;
  }

  /** {@code count} neighbouring runs, in order. */
  public static RunList inOrder(int count, int bytes, MemorySegment source, MemorySegment target) {
    RunList list = new RunList();
    for (int i = 0; i < count; i++) {
      long offset = (long) i * bytes;
      list.add(source.address() + offset, target.address() + offset, bytes);
    }
    return list;
  }

  private static List<Integer> slots(int count) {
    List<Integer> slots = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      slots.add(i);
    }
    return slots;
  }

  /** Does to {@code image}, a copy of {@code target}, what the read should do to it. */
  public void copy(MemorySegment source, MemorySegment target, MemorySegment image) {
    for (Run run : runs) {
      MemorySegment.copy(
          source, run.source - source.address(), image, run.target - target.address(), run.bytes);
    }
  }

  public long bytes() {
    return runs.stream().mapToLong(Run::bytes).sum();
  }

  public int count() {
    return runs.size();
  }

  @Override
  public RunCursor cursor() {
    return new RunCursor() {
      private int index = -1;

      @Override
      public boolean next() {
        index++;
        if (index == eventAt) {
          event.run();
        }
        return index < runs.size();
      }

      @Override
      public long sourceAddress() {
        return runs.get(index).source;
      }

      @Override
      public long targetAddress() {
        return runs.get(index).target;
      }

      @Override
      public long bytes() {
        return runs.get(index).bytes;
      }
    };
  }
}
