package dev.millrace.cli;

import java.util.Locale;

/** Names of constants as they are said. */
final class Words {
  private Words() {}

  /** {@code PREFILL} is said prefill. */
  static String of(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
