package dev.millrace.transfer.permute;

/**
 * Transposes elements of 1, 2 or 4 bytes. On one side they are contiguous along {@code a}, on the
 * other along {@code b}. As many words as a word has elements make a square tile: it is read a word
 * per row, transposed in registers by exchanging ever smaller halves, and written a word per row.
 */
final class Tiles {
  private static final long EVEN_SHORTS = 0x0000_ffff_0000_ffffL;
  private static final long EVEN_BYTES = 0x00ff_00ff_00ff_00ffL;
  private static final long LOW_INT = 0xffff_ffffL;

  private Tiles() {}

  /**
   * A transposed plane: element (a, b) is at {@code source + a * sourceStride + b * elementBytes},
   * and goes to {@code target + b * targetStride + a * elementBytes}.
   */
  record Plane(int elementBytes, int a, long sourceStride, int b, long targetStride) {

    /** Elements in a word. */
    int tile() {
      return Long.BYTES / elementBytes;
    }
  }

  static void copy(Plane plane, long source, long target) {
    int tile = plane.tile();
    int wholeA = plane.a() / tile * tile;
    int wholeB = plane.b() / tile * tile;
    switch (plane.elementBytes()) {
      case 1 -> bytes(plane, source, target, wholeA, wholeB);
      case 2 -> shorts(plane, source, target, wholeA, wholeB);
      case 4 -> ints(plane, source, target, wholeA, wholeB);
      default -> throw new AssertionError(plane);
    }
    // What is left of a column of tiles at the right, and of a row of them at the bottom.
    for (int a = wholeA; a < plane.a(); a++) {
      Rows.copy(
          source + a * plane.sourceStride(),
          plane.elementBytes(),
          target + (long) a * plane.elementBytes(),
          plane.targetStride(),
          plane.elementBytes(),
          plane.b());
    }
    for (int b = wholeB; b < plane.b(); b++) {
      Rows.copy(
          source + (long) b * plane.elementBytes(),
          plane.sourceStride(),
          target + b * plane.targetStride(),
          plane.elementBytes(),
          plane.elementBytes(),
          wholeA);
    }
  }

  private static void shorts(Plane plane, long source, long target, int wholeA, int wholeB) {
    long down = plane.sourceStride();
    long right = plane.targetStride();
    for (int b = 0; b < wholeB; b += 4) {
      long from = source + 2L * b;
      long to = target + b * right;
      for (int a = 0; a < wholeA; a += 4) {
        long r0 = Words.getLong(from);
        long r1 = Words.getLong(from + down);
        long r2 = Words.getLong(from + 2 * down);
        long r3 = Words.getLong(from + 3 * down);
        long even01 = (r0 & EVEN_SHORTS) | ((r1 & EVEN_SHORTS) << 16);
        long odd01 = ((r0 >>> 16) & EVEN_SHORTS) | (r1 & ~EVEN_SHORTS);
        long even23 = (r2 & EVEN_SHORTS) | ((r3 & EVEN_SHORTS) << 16);
        long odd23 = ((r2 >>> 16) & EVEN_SHORTS) | (r3 & ~EVEN_SHORTS);
        Words.putLong(to, (even01 & LOW_INT) | (even23 << 32));
        Words.putLong(to + right, (odd01 & LOW_INT) | (odd23 << 32));
        Words.putLong(to + 2 * right, (even01 >>> 32) | (even23 & ~LOW_INT));
        Words.putLong(to + 3 * right, (odd01 >>> 32) | (odd23 & ~LOW_INT));
        from += 4 * down;
        to += 8;
      }
    }
  }

  private static void ints(Plane plane, long source, long target, int wholeA, int wholeB) {
    long down = plane.sourceStride();
    long right = plane.targetStride();
    for (int b = 0; b < wholeB; b += 2) {
      long from = source + 4L * b;
      long to = target + b * right;
      for (int a = 0; a < wholeA; a += 2) {
        long r0 = Words.getLong(from);
        long r1 = Words.getLong(from + down);
        Words.putLong(to, (r0 & LOW_INT) | (r1 << 32));
        Words.putLong(to + right, (r0 >>> 32) | (r1 & ~LOW_INT));
        from += 2 * down;
        to += 8;
      }
    }
  }

  private static void bytes(Plane plane, long source, long target, int wholeA, int wholeB) {
    for (int b = 0; b < wholeB; b += 8) {
      for (int a = 0; a < wholeA; a += 8) {
        bytesOfTile(
            source + a * plane.sourceStride() + b,
            plane.sourceStride(),
            target + b * plane.targetStride() + a,
            plane.targetStride());
      }
    }
  }

  private static void bytesOfTile(long from, long down, long to, long right) {
    long r0 = Words.getLong(from);
    long r1 = Words.getLong(from + down);
    long r2 = Words.getLong(from + 2 * down);
    long r3 = Words.getLong(from + 3 * down);
    long r4 = Words.getLong(from + 4 * down);
    long r5 = Words.getLong(from + 5 * down);
    long r6 = Words.getLong(from + 6 * down);
    long r7 = Words.getLong(from + 7 * down);
    long even01 = (r0 & EVEN_BYTES) | ((r1 & EVEN_BYTES) << 8);
    long odd01 = ((r0 >>> 8) & EVEN_BYTES) | (r1 & ~EVEN_BYTES);
    long even23 = (r2 & EVEN_BYTES) | ((r3 & EVEN_BYTES) << 8);
    long odd23 = ((r2 >>> 8) & EVEN_BYTES) | (r3 & ~EVEN_BYTES);
    long even45 = (r4 & EVEN_BYTES) | ((r5 & EVEN_BYTES) << 8);
    long odd45 = ((r4 >>> 8) & EVEN_BYTES) | (r5 & ~EVEN_BYTES);
    long even67 = (r6 & EVEN_BYTES) | ((r7 & EVEN_BYTES) << 8);
    long odd67 = ((r6 >>> 8) & EVEN_BYTES) | (r7 & ~EVEN_BYTES);
    // Columns 0 and 4, 2 and 6 of the even ones; 1 and 5, 3 and 7 of the odd ones.
    long c04Top = (even01 & EVEN_SHORTS) | ((even23 & EVEN_SHORTS) << 16);
    long c26Top = ((even01 >>> 16) & EVEN_SHORTS) | (even23 & ~EVEN_SHORTS);
    long c15Top = (odd01 & EVEN_SHORTS) | ((odd23 & EVEN_SHORTS) << 16);
    long c37Top = ((odd01 >>> 16) & EVEN_SHORTS) | (odd23 & ~EVEN_SHORTS);
    long c04Low = (even45 & EVEN_SHORTS) | ((even67 & EVEN_SHORTS) << 16);
    long c26Low = ((even45 >>> 16) & EVEN_SHORTS) | (even67 & ~EVEN_SHORTS);
    long c15Low = (odd45 & EVEN_SHORTS) | ((odd67 & EVEN_SHORTS) << 16);
    long c37Low = ((odd45 >>> 16) & EVEN_SHORTS) | (odd67 & ~EVEN_SHORTS);
    Words.putLong(to, (c04Top & LOW_INT) | (c04Low << 32));
    Words.putLong(to + right, (c15Top & LOW_INT) | (c15Low << 32));
    Words.putLong(to + 2 * right, (c26Top & LOW_INT) | (c26Low << 32));
    Words.putLong(to + 3 * right, (c37Top & LOW_INT) | (c37Low << 32));
    Words.putLong(to + 4 * right, (c04Top >>> 32) | (c04Low & ~LOW_INT));
    Words.putLong(to + 5 * right, (c15Top >>> 32) | (c15Low & ~LOW_INT));
    Words.putLong(to + 6 * right, (c26Top >>> 32) | (c26Low & ~LOW_INT));
    Words.putLong(to + 7 * right, (c37Top >>> 32) | (c37Low & ~LOW_INT));
  }
}
