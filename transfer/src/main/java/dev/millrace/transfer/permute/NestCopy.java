package dev.millrace.transfer.permute;

import dev.millrace.layout.NestCursor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;

/** Copies loop nests from one memory to another. Objects are used for one copy at a time. */
public final class NestCopy {
  private static final int MOST_AXES = 5;

  private final long sourceStart;
  private final long sourceEnd;
  private final long targetStart;
  private final long targetEnd;

  private final int[] extents = new int[MOST_AXES];
  private final long[] sourceStrides = new long[MOST_AXES];
  private final long[] targetStrides = new long[MOST_AXES];
  private final int[] indices = new int[MOST_AXES];
  private int axes;
  private long sourceAt;
  private long targetAt;

  /**
   * Copies between these memories, which do not overlap and stay open while it does.
   *
   * @param source native memory that all source addresses are in
   * @param target native memory that all destination addresses are in
   */
  public NestCopy(MemorySegment source, MemorySegment target) {
    if (!source.isNative() || !target.isNative() || target.isReadOnly()) {
      throw new IllegalArgumentException("not off-heap memory: %s to %s".formatted(source, target));
    }
    sourceStart = source.address();
    sourceEnd = sourceStart + source.byteSize();
    targetStart = target.address();
    targetEnd = targetStart + target.byteSize();
  }

  /**
   * Copies the nests of several walks, one of each in turn: walks of ranks that share a block on
   * one side come to it at the same time, while it is in the cache.
   *
   * @return bytes copied
   * @throws IndexOutOfBoundsException if a nest leaves a memory; those before it were copied
   */
  public long copy(List<NestCursor> walks) {
    List<NestCursor> left = new ArrayList<>(walks);
    long bytes = 0;
    while (!left.isEmpty()) {
      for (Iterator<NestCursor> each = left.iterator(); each.hasNext(); ) {
        NestCursor walk = each.next();
        if (walk.next()) {
          bytes += copyOne(walk);
        } else {
          each.remove();
        }
      }
    }
    return bytes;
  }

  private long copyOne(NestCursor nest) {
    long rowBytes = nest.rowBytes();
    long rows = 1;
    long sourceReach = rowBytes;
    long targetReach = rowBytes;
    axes = nest.axes();
    for (int axis = 0; axis < axes; axis++) {
      int extent = nest.extent(axis);
      extents[axis] = extent;
      sourceStrides[axis] = nest.sourceStride(axis);
      targetStrides[axis] = nest.targetStride(axis);
      rows *= extent;
      sourceReach += (extent - 1) * sourceStrides[axis];
      targetReach += (extent - 1) * targetStrides[axis];
    }
    require("source", nest.sourceAddress(), sourceReach, sourceStart, sourceEnd);
    require("destination", nest.targetAddress(), targetReach, targetStart, targetEnd);
    if (rowBytes <= Integer.BYTES && rowBytes != 3 && isTransposed(rowBytes)) {
      planes((int) rowBytes, nest.sourceAddress(), nest.targetAddress());
    } else {
      rows(rowBytes, nest.sourceAddress(), nest.targetAddress());
    }
    return rows * rowBytes;
  }

  private static void require(String side, long from, long bytes, long start, long end) {
    // Memory of one process ends far below the sign bit: no sum wraps.
    if (from < start || bytes < 0 || from + bytes > end) {
      throw new IndexOutOfBoundsException(
          "a copy of [%#x, +%d) leaves the %s [%#x, %#x)".formatted(from, bytes, side, start, end));
    }
  }

  /**
   * Whether single elements are contiguous along axis 0 at the destination and along another one at
   * the source. That one is moved to place 1.
   */
  private boolean isTransposed(long elementBytes) {
    if (axes < 2 || targetStrides[0] != elementBytes) {
      return false;
    }
    for (int axis = 1; axis < axes; axis++) {
      if (sourceStrides[axis] == elementBytes) {
        swap(1, axis);
        return true;
      }
    }
    return false;
  }

  private void swap(int a, int b) {
    int extent = extents[a];
    extents[a] = extents[b];
    extents[b] = extent;
    long stride = sourceStrides[a];
    sourceStrides[a] = sourceStrides[b];
    sourceStrides[b] = stride;
    stride = targetStrides[a];
    targetStrides[a] = targetStrides[b];
    targetStrides[b] = stride;
  }

  private void planes(int elementBytes, long source, long target) {
    Tiles.Plane plane =
        new Tiles.Plane(elementBytes, extents[0], sourceStrides[0], extents[1], targetStrides[1]);
    begin(source, target, 2);
    do {
      Tiles.copy(plane, sourceAt, targetAt);
    } while (advance(2));
  }

  private void rows(long rowBytes, long source, long target) {
    if (axes == 0) {
      Words.copy(source, target, rowBytes);
      return;
    }
    begin(source, target, 1);
    do {
      Rows.copy(sourceAt, sourceStrides[0], targetAt, targetStrides[0], rowBytes, extents[0]);
    } while (advance(1));
  }

  /** Goes to the first index of the axes from {@code inner} on. */
  private void begin(long source, long target, int inner) {
    sourceAt = source;
    targetAt = target;
    Arrays.fill(indices, inner, MOST_AXES, 0);
  }

  /** Goes to the next index of the axes from {@code inner} on; false behind the last. */
  private boolean advance(int inner) {
    for (int axis = inner; axis < axes; axis++) {
      sourceAt += sourceStrides[axis];
      targetAt += targetStrides[axis];
      if (++indices[axis] < extents[axis]) {
        return true;
      }
      indices[axis] = 0;
      sourceAt -= sourceStrides[axis] * extents[axis];
      targetAt -= targetStrides[axis] * extents[axis];
    }
    return false;
  }
}
