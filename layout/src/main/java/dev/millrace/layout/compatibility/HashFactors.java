package dev.millrace.layout.compatibility;

import dev.millrace.layout.CompatibilityHash;
import dev.millrace.layout.CompatibilityHash.Speculation;
import java.util.EnumMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Values of some or all hash factors.
 *
 * @param values by factor; the value of {@link HashFactor#SPECULATIVE_CONFIG} is a {@link
 *     SpeculativeSetup}
 */
record HashFactors(Map<HashFactor, Object> values) {

  /** What is known of an engine's factors. */
  static HashFactors of(Facts facts) {
    Map<HashFactor, Object> values = new EnumMap<>(HashFactor.class);
    for (HashFactor factor : HashFactor.values()) {
      facts.value(factor.fact()).ifPresent(value -> values.put(factor, value));
    }
    return new HashFactors(values);
  }

  /** The hash, if every factor of the connector version has a value. */
  Optional<CompatibilityHash> hash() {
    Object version = values.get(HashFactor.NIXL_CONNECTOR_VERSION);
    if (version == null || !values.keySet().containsAll(HashFactor.of((Integer) version))) {
      return Optional.empty();
    }
    return Optional.of(
        new CompatibilityHash(
            text(HashFactor.VLLM_VERSION),
            (Integer) version,
            text(HashFactor.MODEL),
            text(HashFactor.DTYPE),
            number(HashFactor.NUM_KV_HEADS),
            number(HashFactor.HEAD_SIZE),
            number(HashFactor.NUM_HIDDEN_LAYERS),
            text(HashFactor.ATTN_BACKEND_NAME),
            text(HashFactor.CACHE_DTYPE),
            flag(HashFactor.CROSS_LAYERS_BLOCKS),
            flag(HashFactor.IS_HMA_ENABLED),
            draft(),
            text(HashFactor.TRANSFER_MODE)));
  }

  // Factors that the version does not have may lack a value; the hash does not look at them.

  private String text(HashFactor factor) {
    return String.valueOf(values.get(factor));
  }

  private int number(HashFactor factor) {
    return values.get(factor) instanceof Integer number ? number : 0;
  }

  private boolean flag(HashFactor factor) {
    return Boolean.TRUE.equals(values.get(factor));
  }

  private @Nullable Speculation draft() {
    return values.get(HashFactor.SPECULATIVE_CONFIG) instanceof SpeculativeSetup setup
        ? setup.draft().orElse(null)
        : null;
  }
}
