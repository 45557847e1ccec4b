package dev.millrace.layout;

import java.util.List;

/** Gives the pairs of each bundle as nests, piece by piece. */
final class NestWalk implements NestCursor {
  private final List<Bundle> bundles;
  private final List<TokenPieces> pieces;
  private final RowOdometer rows = new RowOdometer();
  private int bundle;
  private int piece;
  private int pair = -1;

  /**
   * @param pieces per KV-cache group
   */
  NestWalk(List<Bundle> bundles, List<TokenPieces> pieces) {
    this.bundles = bundles;
    this.pieces = pieces;
  }

  @Override
  public boolean next() {
    pair++;
    while (bundle < bundles.size()) {
      Bundle present = bundles.get(bundle);
      TokenPieces cut = pieces.get(present.group());
      if (piece >= cut.size()) {
        bundle++;
        piece = 0;
        pair = 0;
      } else if (pair >= present.pairs().size()) {
        piece++;
        pair = 0;
      } else {
        rows.load(present.pairs().get(pair), cut, piece);
        return true;
      }
    }
    return false;
  }

  @Override
  public long sourceAddress() {
    return rows.sourceAddress();
  }

  @Override
  public long targetAddress() {
    return rows.targetAddress();
  }

  @Override
  public long rowBytes() {
    return rows.rowBytes();
  }

  @Override
  public int axes() {
    return rows.axes();
  }

  @Override
  public int extent(int axis) {
    return rows.extent(axis);
  }

  @Override
  public long sourceStride(int axis) {
    return rows.sourceStride(axis);
  }

  @Override
  public long targetStride(int axis) {
    return rows.targetStride(axis);
  }
}
