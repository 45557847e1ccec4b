package dev.millrace.layout.compatibility;

import dev.millrace.layout.CompatibilityHash.Speculation;
import java.util.Optional;

/**
 * An engine's speculative decoding.
 *
 * @param method vLLM's {@code method}, such as {@code eagle3} or {@code ngram}; {@code none}
 * @param draft what the compatibility hash takes of a draft model; present for methods that reuse
 *     the target's hidden states (vLLM: {@code use_eagle()})
 * @param tokens {@code num_speculative_tokens}
 */
public record SpeculativeSetup(
    String method, Optional<Speculation> draft, Optional<Integer> tokens) {
  /** No speculation. */
  public static final SpeculativeSetup NONE =
      new SpeculativeSetup("none", Optional.empty(), Optional.empty());

  /** As it is said. */
  @Override
  public String toString() {
    String model =
        draft.flatMap(config -> Optional.ofNullable(config.model())).map(m -> " " + m).orElse("");
    return method + model + tokens.map(count -> " of " + count + " tokens").orElse("");
  }
}
