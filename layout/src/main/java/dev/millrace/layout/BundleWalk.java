package dev.millrace.layout;

import java.util.List;

/**
 * Walks bundles piece by piece in the order of the destination: one bundle after the other, in each
 * one piece after the other, in each piece the rows of all pairs by ascending destination address.
 * A bundle of several pairs is merged from one odometer per pair through a binary heap. Rows that
 * continue each other on both sides become one run, also across pieces.
 *
 * <p>Memory is that of the odometers, whatever the number of runs.
 */
final class BundleWalk implements RunCursor {
  private final List<Bundle> bundles;
  private final List<TokenPieces> pieces;

  private int bundle = -1;
  private int piece;
  private RowOdometer[] odometers = new RowOdometer[0];

  /** The first {@code live} odometers have rows left; a heap by destination address. */
  private int live;

  private boolean ahead;
  private int aheadBundle;
  private int aheadFamily;
  private long aheadSource;
  private long aheadTarget;
  private long aheadBytes;

  private long sourceAddress;
  private long targetAddress;
  private long bytes;

  /**
   * @param pieces per KV-cache group
   */
  BundleWalk(List<Bundle> bundles, List<TokenPieces> pieces) {
    this.bundles = bundles;
    this.pieces = pieces;
    ahead = takeRow();
  }

  @Override
  public boolean next() {
    if (!ahead) {
      return false;
    }
    int runBundle = aheadBundle;
    int runFamily = aheadFamily;
    sourceAddress = aheadSource;
    targetAddress = aheadTarget;
    bytes = 0;
    do {
      bytes += aheadBytes;
      ahead = takeRow();
    } while (ahead
        && aheadSource == sourceAddress + bytes
        && aheadTarget == targetAddress + bytes
        && aheadBundle == runBundle
        && aheadFamily == runFamily);
    return true;
  }

  @Override
  public long sourceAddress() {
    return sourceAddress;
  }

  @Override
  public long targetAddress() {
    return targetAddress;
  }

  @Override
  public long bytes() {
    return bytes;
  }

  /** Takes the next row into {@code ahead…}; false at the end. */
  private boolean takeRow() {
    if (live == 0 && !loadPiece()) {
      return false;
    }
    RowOdometer top = odometers[0];
    aheadBundle = bundle;
    aheadFamily = top.family();
    aheadSource = top.sourceAddress();
    aheadTarget = top.targetAddress();
    aheadBytes = top.rowBytes();
    if (!top.advance()) {
      live--;
      odometers[0] = odometers[live];
      odometers[live] = top;
    }
    siftDown(0);
    return true;
  }

  /** Loads the odometers with the next piece, of this bundle or else of the next one. */
  private boolean loadPiece() {
    piece++;
    while (bundle < 0 || piece >= pieces.get(bundles.get(bundle).group()).size()) {
      if (++bundle >= bundles.size()) {
        bundle = bundles.size();
        return false;
      }
      piece = 0;
      fitOdometers(bundles.get(bundle).pairs().size());
    }
    List<RegionPair> pairs = bundles.get(bundle).pairs();
    TokenPieces cut = pieces.get(bundles.get(bundle).group());
    live = pairs.size();
    for (int i = 0; i < live; i++) {
      odometers[i].load(pairs.get(i), cut, piece);
    }
    for (int i = live / 2 - 1; i >= 0; i--) {
      siftDown(i);
    }
    return true;
  }

  private void fitOdometers(int size) {
    if (odometers.length < size) {
      odometers = new RowOdometer[size];
      for (int i = 0; i < size; i++) {
        odometers[i] = new RowOdometer();
      }
    }
  }

  private void siftDown(int from) {
    RowOdometer moving = odometers[from];
    int at = from;
    for (int child = 2 * at + 1; child < live; child = 2 * at + 1) {
      if (child + 1 < live && isBefore(odometers[child + 1], odometers[child])) {
        child++;
      }
      if (!isBefore(odometers[child], moving)) {
        break;
      }
      odometers[at] = odometers[child];
      at = child;
    }
    odometers[at] = moving;
  }

  private static boolean isBefore(RowOdometer a, RowOdometer b) {
    return Long.compareUnsigned(a.targetAddress(), b.targetAddress()) < 0;
  }
}
