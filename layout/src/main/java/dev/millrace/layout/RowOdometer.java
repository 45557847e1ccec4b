package dev.millrace.layout;

/**
 * Counts through the rows that a {@link RegionPair} has in one piece of the span. A row is as many
 * bytes as lie together on both sides; the axes that are left are an odometer, the one with the
 * narrowest stride at the destination turning fastest.
 *
 * <p>Objects are used again and again: {@link #load} starts the next piece.
 */
final class RowOdometer {
  private final int[] extents = new int[RegionPair.AXES];
  private final int[] indices = new int[RegionPair.AXES];
  private final long[] sourceStrides = new long[RegionPair.AXES];
  private final long[] targetStrides = new long[RegionPair.AXES];
  private int axes;
  private int family;
  private long rowBytes;
  private long sourceAddress;
  private long targetAddress;

  /** Stands at the first row of {@code pair} in a piece. */
  void load(RegionPair pair, TokenPieces pieces, int piece) {
    family = pair.family();
    sourceAddress = pair.sourceAddress(pieces.sourceBlock(piece), pieces.sourceToken(piece));
    targetAddress = pair.targetAddress(pieces.targetBlock(piece), pieces.targetToken(piece));
    axes = 0;
    rowBytes = pair.elementBytes();
    int tokens = pieces.count(piece);
    for (int axis = RegionPair.AXES - 1; axis >= 0; axis--) {
      int extent = pair.extent(axis, tokens);
      if (extent > 1) {
        add(extent, pair.sourceStride(axis), pair.targetStride(axis));
      }
    }
  }

  /**
   * Adds the next axis outwards: it makes the row longer, or goes on where the last axis ends, or
   * else has to be counted through.
   */
  private void add(int extent, long sourceStride, long targetStride) {
    if (axes == 0 && sourceStride == rowBytes && targetStride == rowBytes) {
      rowBytes *= extent;
      return;
    }
    int last = axes - 1;
    if (axes > 0
        && sourceStride == sourceStrides[last] * extents[last]
        && targetStride == targetStrides[last] * extents[last]) {
      extents[last] *= extent;
      return;
    }
    extents[axes] = extent;
    indices[axes] = 0;
    sourceStrides[axes] = sourceStride;
    targetStrides[axes] = targetStride;
    axes++;
  }

  /** Goes to the next row; false behind the last. */
  boolean advance() {
    for (int axis = 0; axis < axes; axis++) {
      sourceAddress += sourceStrides[axis];
      targetAddress += targetStrides[axis];
      if (++indices[axis] < extents[axis]) {
        return true;
      }
      indices[axis] = 0;
      sourceAddress -= sourceStrides[axis] * extents[axis];
      targetAddress -= targetStrides[axis] * extents[axis];
    }
    return false;
  }

  /** Axes that are counted through. */
  int axes() {
    return axes;
  }

  int extent(int axis) {
    return extents[axis];
  }

  long sourceStride(int axis) {
    return sourceStrides[axis];
  }

  long targetStride(int axis) {
    return targetStrides[axis];
  }

  int family() {
    return family;
  }

  long rowBytes() {
    return rowBytes;
  }

  long sourceAddress() {
    return sourceAddress;
  }

  long targetAddress() {
    return targetAddress;
  }
}
