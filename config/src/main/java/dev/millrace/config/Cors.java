package dev.millrace.config;

import java.util.Set;
import java.util.regex.Pattern;

/**
 * Which web pages may ask from within a browser, and read the answers (the Fetch standard, CORS).
 *
 * @param origins of these pages, as browsers spell them; {@code *} among them: of any
 */
public record Cors(Set<String> origins) {
  /** Every origin. */
  public static final String ANY = "*";

  /**
   * As browsers serialise one: no path, the host in lower case, no port that goes without saying.
   */
  static final Pattern ORIGIN = Pattern.compile("\\*|[a-z][a-z0-9+.-]*://[a-z0-9_.:\\[\\]%-]+");

  public Cors {
    origins = Set.copyOf(origins);
    if (origins.isEmpty() || !origins.stream().allMatch(each -> ORIGIN.matcher(each).matches())) {
      throw new IllegalArgumentException("cors: %s are not origins".formatted(origins));
    }
  }

  /** Whether pages of any origin may. */
  public boolean isForAny() {
    return origins.contains(ANY);
  }
}
