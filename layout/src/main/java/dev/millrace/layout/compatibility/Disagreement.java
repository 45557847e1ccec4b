package dev.millrace.layout.compatibility;

/**
 * An engine is not what it is said to be.
 *
 * @param fact what is contradictory
 * @param declared what an operator says, or what follows from that
 * @param probed what the engine says of itself, or another declaration that says otherwise
 */
public record Disagreement(Fact<?> fact, Known<?> declared, Known<?> probed) {

  /** In a sentence. */
  @Override
  public String toString() {
    return "%s is %s by %s, but %s by %s"
        .formatted(fact, declared.value(), declared.where(), probed.value(), probed.where());
  }
}
