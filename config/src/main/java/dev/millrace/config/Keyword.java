package dev.millrace.config;

import java.util.Locale;

/** A choice between named values, written in kebab-case in YAML. */
public interface Keyword {
  /** The enum constant's name. */
  String name();

  /** How the value is written in a routing table. */
  default String keyword() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
