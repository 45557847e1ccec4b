package dev.millrace.layout.compatibility;

import java.util.Collection;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** What Python makes of values out of JSON. */
final class PythonValue {
  private static final Set<String> YES = Set.of("true", "t", "yes", "y", "on", "1");
  private static final Set<String> NO = Set.of("false", "f", "no", "n", "off", "0");

  private PythonValue() {}

  /** {@code bool(value)}: the string {@code "false"} is true. */
  static boolean isTrue(@Nullable Object value) {
    return switch (value) {
      case null -> false;
      case Boolean truth -> truth;
      case Number number -> number.doubleValue() != 0;
      case String text -> !text.isEmpty();
      case Collection<?> collection -> !collection.isEmpty();
      case Map<?, ?> map -> !map.isEmpty();
      default -> true;
    };
  }

  /** {@code str(value).lower() == "true"}: the number 1 is not. */
  static boolean saysTrue(@Nullable Object value) {
    return String.valueOf(value).toLowerCase(Locale.ROOT).equals("true");
  }

  /** What pydantic makes of the value of a field of type {@code bool}; empty if it refuses. */
  static Optional<Boolean> coerced(Object value) {
    String text =
        value instanceof Number number && number.doubleValue() == number.longValue()
            ? Long.toString(number.longValue())
            : String.valueOf(value).toLowerCase(Locale.ROOT);
    if (YES.contains(text)) {
      return Optional.of(true);
    }
    return NO.contains(text) ? Optional.of(false) : Optional.empty();
  }
}
