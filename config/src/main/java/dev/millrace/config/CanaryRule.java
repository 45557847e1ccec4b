package dev.millrace.config;

/** For which pairs a known prompt must be answered right before they get requests. */
public enum CanaryRule implements Keyword {
  /** For those whose block sizes differ, that need an agent, or that nobody has tried. */
  AUTO,
  /** For all. */
  ALWAYS,
  /** For none. */
  OFF
}
