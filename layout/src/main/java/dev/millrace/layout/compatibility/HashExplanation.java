package dev.millrace.layout.compatibility;

import dev.millrace.layout.CompatibilityHash;
import dev.millrace.layout.CompatibilityHash.Difference;
import java.util.List;
import java.util.Optional;

/**
 * Why two engines have the hashes that they have. A hash cannot be inverted, but it can be computed
 * again from what is known, with one factor or a few changed, until it is the one that the engine
 * sends.
 */
public sealed interface HashExplanation {

  /** The hashes are equal. */
  record Same() implements HashExplanation {}

  /**
   * Both hashes were found again.
   *
   * @param factors where they differ, {@code ours} being the prefill engine's
   */
  record Differs(List<Difference> factors) implements HashExplanation {
    public Differs {
      factors = List.copyOf(factors);
    }
  }

  /**
   * At least one hash could not be found again.
   *
   * @param why whose, and what would help
   */
  record Unexplained(String why) implements HashExplanation {}

  /** Explains the hashes of two engines. */
  static HashExplanation of(EngineProfile prefill, EngineProfile decode) {
    Optional<String> sentByPrefill = prefill.value(Fact.HASH);
    Optional<String> sentByDecode = decode.value(Fact.HASH);
    if (sentByPrefill.isEmpty() || sentByDecode.isEmpty()) {
      return new Unexplained(
          "the hash of %s is not known"
              .formatted((sentByPrefill.isEmpty() ? prefill : decode).name()));
    }
    if (sentByPrefill.equals(sentByDecode)) {
      return new Same();
    }
    Optional<CompatibilityHash> ofPrefill = HashSearch.find(sentByPrefill.get(), prefill, decode);
    Optional<CompatibilityHash> ofDecode = HashSearch.find(sentByDecode.get(), decode, prefill);
    if (ofPrefill.isPresent() && ofDecode.isPresent()) {
      return new Differs(ofPrefill.get().differences(ofDecode.get()));
    }
    EngineProfile unexplained = ofPrefill.isEmpty() ? prefill : decode;
    return new Unexplained(
        "the hash of %s is not that of %s, nor with a few of these changed"
            .formatted(unexplained.name(), HashSearch.said(unexplained)));
  }
}
