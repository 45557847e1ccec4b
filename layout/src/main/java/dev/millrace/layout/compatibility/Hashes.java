package dev.millrace.layout.compatibility;

/** What is known of two engines' compatibility hashes. */
public enum Hashes {
  EQUAL,
  UNEQUAL,
  UNKNOWN
}
