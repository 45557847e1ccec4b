package dev.millrace.config;

import java.time.Duration;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Numbers with units as they are written in YAML: {@code 500ms}, {@code 60s}, {@code 16MiB}. */
final class Quantities {
  /** Ten digits: no overflow in any unit, and more than any limit allows. */
  private static final Pattern NUMBER_WITH_UNIT = Pattern.compile("(\\d{1,10}) ?([A-Za-z]*)");

  private Quantities() {}

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
