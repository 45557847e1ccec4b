package dev.millrace.config;

/** What it means that a key is not there. */
sealed interface Absence {
  /** A mistake. */
  record Mistake() implements Absence {}

  /** The same as this value, as JSON has it. */
  record Default(Object value) implements Absence {}

  /** Something that no value says; in words, Markdown. */
  record Otherwise(String words) implements Absence {}

  static Absence required() {
    return new Mistake();
  }

  static Absence or(Object value) {
    return new Default(value);
  }

  static Absence otherwise(String words) {
    return new Otherwise(words);
  }
}
