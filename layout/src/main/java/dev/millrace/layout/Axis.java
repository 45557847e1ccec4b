package dev.millrace.layout;

/**
 * One axis of a {@link Region}: the indices {@code [first, first + extent)} of {@code name}, one of
 * them {@code strideBytes} after the other.
 *
 * @param name which axis of the index space
 * @param first the first index that the region holds; 0 for TOKEN and DIM
 * @param extent how many indices it holds, at least 1
 * @param strideBytes distance in memory between neighbours; of no meaning where the extent is 1
 */
public record Axis(AxisName name, int first, int extent, long strideBytes) {
  public Axis {
    if (first < 0 || extent < 1 || strideBytes < 0) {
      throw new IllegalArgumentException(
          "axis %s: first=%d (>= 0), extent=%d (>= 1), strideBytes=%d (>= 0)"
              .formatted(name, first, extent, strideBytes));
    }
  }

  /** One past the last index. */
  public int end() {
    return first + extent;
  }
}
