package dev.millrace.layout;

import java.util.List;

/**
 * What lies behind the end of a span in the last destination block that the span touches, group by
 * group. It must be zeros before the sequence is used: the block may hold another sequence's
 * tokens, and under {@link Rounding#WHOLE_BLOCKS} it was sent the source's (vLLM zeroes the same
 * bytes, v0.28, {@code base_worker} after a read).
 */
public final class Tail {
  private final List<Bundle> bundles;
  private final List<TokenPieces> pieces;

  /** The destination's regions paired with themselves. */
  Tail(List<Bundle> bundles, List<TokenPieces> pieces) {
    this.bundles = bundles;
    this.pieces = pieces;
  }

  /** A new walk from the start, to be made after the reads are done. */
  public ZeroCursor cursor() {
    BundleWalk walk = new BundleWalk(bundles, pieces);
    return new ZeroCursor() {
      @Override
      public boolean next() {
        return walk.next();
      }

      @Override
      public long targetAddress() {
        return walk.targetAddress();
      }

      @Override
      public long bytes() {
        return walk.bytes();
      }
    };
  }

  /** Whether there is nothing to zero: the span ends with a block in every group. */
  public boolean isEmpty() {
    return bytes() == 0;
  }

  /** How much there is to zero. */
  public long bytes() {
    long bytes = 0;
    for (Bundle bundle : bundles) {
      bytes += bundle.bytesPerToken() * pieces.get(bundle.group()).spanTokens();
    }
    return bytes;
  }
}
