package dev.millrace.layout;

import java.util.List;

/**
 * What is read from one source rank. Runs come in the order of the destination: region by region in
 * handshake order, then block by block of the sequence, then by ascending address. Neighbouring
 * regions that share their blocks count as one.
 */
public final class SourceRead implements Runs {
  private final Rank source;
  private final List<Bundle> bundles;
  private final List<TokenPieces> pieces;

  SourceRead(Rank source, List<Bundle> bundles, List<TokenPieces> pieces) {
    this.source = source;
    this.bundles = bundles;
    this.pieces = pieces;
  }

  /** The rank that is read from. */
  public Rank source() {
    return source;
  }

  @Override
  public RunCursor cursor() {
    return new BundleWalk(bundles, pieces);
  }

  /** The same bytes as {@link #cursor} gives, as loop nests. A new walk from the start. */
  public NestCursor nests() {
    return new NestWalk(bundles, pieces);
  }

  /** Walks over the first KV-cache group only. */
  RunCursor firstGroup() {
    int group = bundles.getFirst().group();
    return new BundleWalk(
        bundles.stream().filter(bundle -> bundle.group() == group).toList(), pieces);
  }

  /** Bytes of the span itself that come from this rank. */
  long bytesNeeded() {
    long bytes = 0;
    for (Bundle bundle : bundles) {
      bytes += bundle.bytesPerToken() * pieces.get(bundle.group()).spanTokens();
    }
    return bytes;
  }

  @Override
  public String toString() {
    return "read from rank (" + source.pipeline() + ", " + source.tensor() + ")";
  }
}
