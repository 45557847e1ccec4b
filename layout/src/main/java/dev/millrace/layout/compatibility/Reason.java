package dev.millrace.layout.compatibility;

/**
 * Why two engines do not fit.
 *
 * @param rule what is broken
 * @param prefill the prefill engine's value
 * @param decode the decode engine's value
 * @param source who says so
 * @param remedy what to do about it
 */
public record Reason(Rule rule, String prefill, String decode, String source, String remedy) {

  /** In a line, without source and remedy. */
  @Override
  public String toString() {
    return "%s: prefill %s, decode %s".formatted(rule, prefill, decode);
  }
}
