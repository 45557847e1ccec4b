package dev.millrace.transfer.permute;

/** Copies rows at strides. */
final class Rows {
  /**
   * From this length on a call of the JDK's memory copy costs less than it saves ({@code
   * RelayoutBenchmark}: even at 64 bytes, ahead by a tenth at 256).
   */
  private static final long LONG_ROW_BYTES = 128;

  private Rows() {}

  /** Copies {@code count} rows. */
  static void copy(
      long source, long sourceStride, long target, long targetStride, long rowBytes, int count) {
    if (rowBytes >= LONG_ROW_BYTES) {
      for (int i = 0; i < count; i++) {
        Words.copy(source + i * sourceStride, target + i * targetStride, rowBytes);
      }
    } else if (rowBytes % 32 == 0) {
      quads(source, sourceStride, target, targetStride, rowBytes, count);
    } else if (rowBytes >= Long.BYTES) {
      words(source, sourceStride, target, targetStride, rowBytes, count);
    } else {
      elements(source, sourceStride, target, targetStride, rowBytes, count);
    }
  }

  /** Rows of a multiple of four words. */
  private static void quads(
      long source, long sourceStride, long target, long targetStride, long rowBytes, int count) {
    for (int i = 0; i < count; i++) {
      long from = source + i * sourceStride;
      long to = target + i * targetStride;
      for (long at = 0; at < rowBytes; at += 32) {
        long a = Words.getLong(from + at);
        long b = Words.getLong(from + at + 8);
        long c = Words.getLong(from + at + 16);
        long d = Words.getLong(from + at + 24);
        Words.putLong(to + at, a);
        Words.putLong(to + at + 8, b);
        Words.putLong(to + at + 16, c);
        Words.putLong(to + at + 24, d);
      }
    }
  }

  /** Rows of a word at least; the last word of a row may overlap the one before it. */
  private static void words(
      long source, long sourceStride, long target, long targetStride, long rowBytes, int count) {
    long last = rowBytes - Long.BYTES;
    for (int i = 0; i < count; i++) {
      long from = source + i * sourceStride;
      long to = target + i * targetStride;
      for (long at = 0; at < last; at += Long.BYTES) {
        Words.putLong(to + at, Words.getLong(from + at));
      }
      Words.putLong(to + last, Words.getLong(from + last));
    }
  }

  /** Rows of less than a word. */
  private static void elements(
      long source, long sourceStride, long target, long targetStride, long rowBytes, int count) {
    for (int i = 0; i < count; i++) {
      long from = source + i * sourceStride;
      long to = target + i * targetStride;
      int left = (int) rowBytes;
      if ((left & 4) != 0) {
        Words.putInt(to, Words.getInt(from));
        from += 4;
        to += 4;
      }
      if ((left & 2) != 0) {
        Words.putShort(to, Words.getShort(from));
        from += 2;
        to += 2;
      }
      if ((left & 1) != 0) {
        Words.putByte(to, Words.getByte(from));
      }
    }
  }
}
