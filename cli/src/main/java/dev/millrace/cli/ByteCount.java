package dev.millrace.cli;

import java.util.Locale;

/** Sizes as people read them. */
final class ByteCount {
  private static final String[] UNITS = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};

  private ByteCount() {}

  /** Up to four significant digits and a unit: {@code 512 B}, {@code 1.5 KiB}, {@code 64 MiB}. */
  static String of(long bytes) {
    int unit = 0;
    double value = bytes;
    while (value >= 1024 && unit < UNITS.length - 1) {
      value /= 1024;
      unit++;
    }
    String number =
        value == Math.rint(value) || value >= 1000
            ? "%.0f".formatted(value)
            : String.format(Locale.ROOT, "%.1f", value);
    return number + " " + UNITS[unit];
  }
}
