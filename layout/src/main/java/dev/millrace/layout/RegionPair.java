package dev.millrace.layout;

/**
 * What two regions have in common, as an affine map from indices to addresses on both sides. The
 * axes stand in the order of their strides at the destination, outermost first; TOKEN's extent
 * comes with each piece of the span.
 */
final class RegionPair {
  /** LAYER, KV, HEAD or CHANNEL, DIM, TOKEN. */
  static final int AXES = 5;

  private final int family;
  private final int elementBytes;
  private final long sourceBlockStride;
  private final long targetBlockStride;
  private final int[] extents = new int[AXES];
  private final long[] sourceStrides = new long[AXES];
  private final long[] targetStrides = new long[AXES];
  private final int tokenAxis;
  private long sourceAddress;
  private long targetAddress;
  private int axes;

  /**
   * The boxes' intersection, restricted to the heads, or channels, {@code [head, headEnd)}.
   *
   * @param family pairs of a {@link Bundle} whose source regions share their blocks have the same
   *     number
   */
  RegionPair(Box source, Box target, int head, int headEnd, int family) {
    this.family = family;
    this.elementBytes = source.elementBytes();
    sourceAddress = source.region().baseAddress();
    targetAddress = target.region().baseAddress();
    sourceBlockStride = source.region().blockStrideBytes();
    targetBlockStride = target.region().blockStrideBytes();
    add(source.layer(), target.layer(), 0, Integer.MAX_VALUE);
    add(source.kv(), target.kv(), 0, Integer.MAX_VALUE);
    add(source.shard(), target.shard(), head, headEnd);
    add(source.dim(), target.dim(), 0, Integer.MAX_VALUE);
    add(source.token(), target.token(), 0, Integer.MAX_VALUE);
    tokenAxis = sort();
  }

  private void add(Axis source, Axis target, int atLeast, int atMost) {
    int first = Math.max(atLeast, Math.max(source.first(), target.first()));
    int end = Math.min(atMost, Math.min(source.end(), target.end()));
    extents[axes] = end - first;
    sourceStrides[axes] = source.strideBytes();
    targetStrides[axes] = target.strideBytes();
    sourceAddress += (first - source.first()) * source.strideBytes();
    targetAddress += (first - target.first()) * target.strideBytes();
    axes++;
  }

  /** Sorts by destination stride, the widest first, and says where the last axis, TOKEN, went. */
  private int sort() {
    int token = AXES - 1;
    for (int sorted = 1; sorted < AXES; sorted++) {
      for (int at = sorted; at > 0 && targetStrides[at - 1] < targetStrides[at]; at--) {
        swap(at - 1, at);
        if (token == at) {
          token = at - 1;
        }
      }
    }
    return token;
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

  int family() {
    return family;
  }

  int elementBytes() {
    return elementBytes;
  }

  /** Bytes that move for each token. */
  long bytesPerToken() {
    long bytes = elementBytes;
    for (int axis = 0; axis < AXES; axis++) {
      bytes *= axis == tokenAxis ? 1 : extents[axis];
    }
    return bytes;
  }

  /** Where a token of a block lies at the source, with the first index on every other axis. */
  long sourceAddress(int block, int token) {
    return sourceAddress + block * sourceBlockStride + token * sourceStrides[tokenAxis];
  }

  /** Where a token of a block lies at the destination. */
  long targetAddress(int block, int token) {
    return targetAddress + block * targetBlockStride + token * targetStrides[tokenAxis];
  }

  /** Extent of an axis in a piece of {@code tokens} tokens. */
  int extent(int axis, int tokens) {
    return axis == tokenAxis ? tokens : extents[axis];
  }

  long sourceStride(int axis) {
    return sourceStrides[axis];
  }

  long targetStride(int axis) {
    return targetStrides[axis];
  }
}
