package dev.millrace.layout;

/**
 * Tokens {@code [from, to)} of a sequence.
 *
 * @param from the first token; where a local prefix hit ends
 * @param to one past the last
 */
public record TokenSpan(int from, int to) {
  public TokenSpan {
    if (from < 0 || to < from) {
      throw new IllegalArgumentException("span [" + from + ", " + to + ")");
    }
  }

  /** Number of tokens. */
  public int tokens() {
    return to - from;
  }
}
