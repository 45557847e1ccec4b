package dev.millrace.layout.compatibility.matrix;

import java.util.Arrays;

/** What a cell says of engines alone. */
public enum Mark {
  YES("yes", "fully supported"),
  PART("part", "partial, see note"),
  NO("no", "not supported"),
  UNKNOWN("?", "unknown, not validated"),
  WORK_IN_PROGRESS("wip", "in progress");

  private final String symbol;
  private final String meaning;

  Mark(String symbol, String meaning) {
    this.symbol = symbol;
    this.meaning = meaning;
  }

  static Mark of(String symbol) {
    return Arrays.stream(values())
        .filter(mark -> mark.symbol.equals(symbol))
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("\"" + symbol + "\" is no mark"));
  }

  /** What it means. */
  public String meaning() {
    return meaning;
  }

  /** As it stands in a cell. */
  @Override
  public String toString() {
    return symbol;
  }
}
