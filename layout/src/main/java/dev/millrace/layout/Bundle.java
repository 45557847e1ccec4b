package dev.millrace.layout;

import java.util.List;

/**
 * Pairs that write into the same blocks of the destination, and therefore are walked together:
 * several tensors of the source that meet in one of the destination (per-layer to cross-layer), or
 * regions that interleave in one tensor (K and V of CPU attention).
 *
 * @param group the KV-cache group whose block tables apply
 */
record Bundle(int group, List<RegionPair> pairs) {
  Bundle {
    pairs = List.copyOf(pairs);
  }

  /** Bytes that move for each token, or each state. */
  long bytesPerToken() {
    long bytes = 0;
    for (RegionPair pair : pairs) {
      bytes += pair.bytesPerToken();
    }
    return bytes;
  }
}
