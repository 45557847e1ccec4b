package dev.millrace.layout.compatibility;

/**
 * Something to know about two engines that fit.
 *
 * @param rule what it is about
 * @param text what is to be known
 * @param attention what is to be done
 */
public record Note(Rule rule, String text, Attention attention) {

  /** What a note asks for. */
  public enum Attention {
    /** To be read. */
    READ,
    /** A canary: only right answers show that it works. */
    CANARY
  }

  /** In a line. */
  @Override
  public String toString() {
    return rule + ": " + text;
  }
}
