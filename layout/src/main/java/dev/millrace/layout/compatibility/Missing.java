package dev.millrace.layout.compatibility;

/**
 * What would have to be known for a verdict.
 *
 * @param rule that cannot be judged
 * @param side whose fact is missing
 * @param what the fact
 * @param remedy where it can be learnt
 */
public record Missing(Rule rule, Side side, String what, String remedy) {

  /** In a line. */
  @Override
  public String toString() {
    return side + ": " + what;
  }
}
