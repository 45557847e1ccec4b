package dev.millrace.config;

import java.util.Comparator;

/**
 * Which names of models are meant: one name, or all that look like it. {@code *} stands for any run
 * of characters, also for none, {@code ?} for one; nothing else is special.
 *
 * @param text as the operator wrote it, at most {@value #LONGEST} characters
 */
public record ModelPattern(String text) {
  static final int LONGEST = 256;

  /**
   * A client may name anything; what is longer than this is no name, and a pattern is not tried on
   * it.
   */
  private static final int LONGEST_NAME = 512;

  /**
   * The most specific first: one name before all patterns, then whatever says more of a name's
   * beginning, then more of the name, then more of its length.
   */
  public static final Comparator<ModelPattern> MOST_SPECIFIC_FIRST =
      Comparator.comparing(ModelPattern::isExact)
          .thenComparingInt(ModelPattern::literalPrefix)
          .thenComparingLong(ModelPattern::literals)
          .thenComparingLong(pattern -> pattern.count('?'))
          .reversed();

  public ModelPattern {
    if (text.isBlank() || text.length() > LONGEST) {
      throw new IllegalArgumentException(
          "\"%s\" is no pattern of 1 to %d characters".formatted(text, LONGEST));
    }
  }

  /** Whether it means one name only. */
  public boolean isExact() {
    return literalPrefix() == text.length();
  }

  /** Whether a name is one of those that it means. */
  public boolean matches(String name) {
    return isExact() ? text.equals(name) : name.length() <= LONGEST_NAME && looksLike(name);
  }

  /**
   * Each run is taken as short as can be, and only the last one is ever made longer: what comes
   * before it matched, and would match no better further on.
   */
  private boolean looksLike(String name) {
    int at = 0;
    int in = 0;
    int run = -1;
    int afterRun = 0;
    while (in < name.length()) {
      char wanted = at < text.length() ? text.charAt(at) : 0;
      if (wanted == '*') {
        run = at++;
        afterRun = in;
      } else if (at < text.length() && (wanted == '?' || wanted == name.charAt(in))) {
        at++;
        in++;
      } else if (run >= 0) {
        at = run + 1;
        in = ++afterRun;
      } else {
        return false;
      }
    }
    while (at < text.length() && text.charAt(at) == '*') {
      at++;
    }
    return at == text.length();
  }

  private int literalPrefix() {
    int length = 0;
    while (length < text.length() && text.charAt(length) != '*' && text.charAt(length) != '?') {
      length++;
    }
    return length;
  }

  private long literals() {
    return text.length() - count('*') - count('?');
  }

  private long count(char special) {
    return text.chars().filter(each -> each == special).count();
  }

  @Override
  public String toString() {
    return text;
  }
}
