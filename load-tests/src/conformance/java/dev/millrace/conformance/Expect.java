package dev.millrace.conformance;

import java.util.Objects;

/** What has to hold. */
final class Expect {
  private Expect() {}

  static void same(Object actual, Object expected, String what) {
    holds(Objects.equals(actual, expected), "%s is %s, not %s".formatted(what, actual, expected));
  }

  static void holds(boolean condition, String otherwise) {
    if (!condition) {
      throw new AssertionError(otherwise);
    }
  }
}
