package dev.millrace.layout;

/**
 * Walks over loop nests. A nest is a box of rows: a row is bytes that are contiguous on both sides,
 * and the axes lead from row to row at fixed strides on either side. All nests of a read together
 * are the same bytes as all its runs; a few nests stand for very many runs, so that whoever copies
 * in memory can loop instead of walking.
 *
 * <pre>{@code
 * for (i1 = 0; i1 < nest.extent(1); i1++) {
 *   for (i0 = 0; i0 < nest.extent(0); i0++) {
 *     copy(nest.sourceAddress() + i1 * nest.sourceStride(1) + i0 * nest.sourceStride(0),
 *          nest.targetAddress() + i1 * nest.targetStride(1) + i0 * nest.targetStride(0),
 *          nest.rowBytes());
 *   }
 * }
 * }</pre>
 */
public interface NestCursor {
  /** Goes to the next nest; false at the end. */
  boolean next();

  /** Where the first row starts at its source, an unsigned 64-bit address. */
  long sourceAddress();

  /** Where the first row starts at its destination, an unsigned 64-bit address. */
  long targetAddress();

  /** Bytes of a row, at least 1. */
  long rowBytes();

  /** Number of axes, 0 to 5; axis 0 has the narrowest stride at the destination. */
  int axes();

  /** How often an axis steps, at least 2. */
  int extent(int axis);

  /** Distance of neighbouring rows at the source, along an axis. */
  long sourceStride(int axis);

  /** Distance of neighbouring rows at the destination, along an axis. */
  long targetStride(int axis);
}
