package dev.millrace.config;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Values with their secrets gone. */
final class Masked {
  private static final String MASK = "***";
  private static final Pattern USER_INFO = Pattern.compile("://[^/?#\\s\"]*@");

  /** Keys at which foreign programs take secrets; a routing table has none itself. */
  private static final Pattern SECRET_KEY =
      Pattern.compile(
          ".*(token|secret|password|passwd|credentials?|key|auth|authorization)",
          Pattern.CASE_INSENSITIVE);

  private Masked() {}

  /** A text whose URLs carry no credentials. */
  static String text(String text) {
    return USER_INFO.matcher(text).replaceAll("://" + MASK + "@");
  }

  /** A foreign object, as JSON has it, without what stands at keys that sound like secrets. */
  static Map<String, @Nullable Object> foreign(Map<?, ?> object) {
    Map<String, @Nullable Object> masked = new LinkedHashMap<>();
    object.forEach((key, value) -> {
      boolean secret = SECRET_KEY.matcher(String.valueOf(key)).matches();
      masked.put(String.valueOf(key), secret ? MASK : foreign(value));
    });
    return masked;
  }

  private static @Nullable Object foreign(@Nullable Object value) {
    return switch (value) {
      case null -> null;
      case String text -> text(text);
      case Map<?, ?> object -> foreign(object);
      case List<?> list -> list.stream().<@Nullable Object>map(Masked::foreign).toList();
      default -> value;
    };
  }
}
