package dev.millrace.config;

import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Numbers with units as they are written in YAML: {@code 500ms}, {@code 60s}, {@code 16MiB}. */
final class Quantities {
  /** Ten digits: no overflow in any unit, and more than any limit allows. */
  private static final Pattern NUMBER_WITH_UNIT = Pattern.compile("(\\d{1,10}) ?([A-Za-z]*)");

  private static final List<Unit> UNITS_OF_TIME =
      List.of(new Unit("h", 3_600_000), new Unit("m", 60_000), new Unit("s", 1_000));

  private record Unit(String name, long millis) {}

  private Quantities() {}

  /** How a duration is written: in the largest unit of which it has two or more. */
  static String text(Duration duration) {
    long millis = duration.toMillis();
    for (Unit unit : UNITS_OF_TIME) {
      if (millis % unit.millis() == 0 && millis >= 2 * unit.millis()) {
        return millis / unit.millis() + unit.name();
      }
    }
    return millis + "ms";
  }

  /** How a size is written: in the largest unit of which it is a whole number. */
  static String text(long bytes) {
    int thousands = bytes == 0 ? 0 : Math.min(3, Long.numberOfTrailingZeros(bytes) / 10);
    return (bytes >> (10 * thousands)) + List.of("B", "KiB", "MiB", "GiB").get(thousands);
  }

  /** A duration in ms, s, m or h; empty if it is not one. */
  static Optional<Duration> duration(String text) {
    Matcher matcher = NUMBER_WITH_UNIT.matcher(text);
    if (!matcher.matches()) {
      return Optional.empty();
    }
    long number = Long.parseLong(matcher.group(1));
    return switch (matcher.group(2)) {
      case "ms" -> Optional.of(Duration.ofMillis(number));
      case "s" -> Optional.of(Duration.ofSeconds(number));
      case "m" -> Optional.of(Duration.ofMinutes(number));
      case "h" -> Optional.of(Duration.ofHours(number));
      default -> Optional.empty();
    };
  }

  /** A size in B, KiB, MiB or GiB; empty if it is not one. */
  static Optional<Long> bytes(String text) {
    Matcher matcher = NUMBER_WITH_UNIT.matcher(text);
    if (!matcher.matches()) {
      return Optional.empty();
    }
    long number = Long.parseLong(matcher.group(1));
    return switch (matcher.group(2)) {
      case "B" -> Optional.of(number);
      case "KiB" -> Optional.of(number << 10);
      case "MiB" -> Optional.of(number << 20);
      case "GiB" -> Optional.of(number << 30);
      default -> Optional.empty();
    };
  }
}
