package dev.millrace.router.edges;

import dev.millrace.layout.compatibility.EngineProfile;
import dev.millrace.layout.compatibility.Fact;
import java.util.Optional;
import java.util.Set;

/**
 * Pairs of which somebody has seen that they answer right, so that no canary has to show it again:
 * equal engines of a vLLM release that was tried (docs/compatibility.md), and simulated ones.
 */
final class TriedPairs {
  private static final Set<Integer> CONNECTOR_VERSIONS = Set.of(14);
  private static final Set<String> BACKENDS = Set.of("CPU_ATTN", "FLASH_ATTN");

  private TriedPairs() {}

  static boolean contain(EngineProfile prefill, EngineProfile decode) {
    return prefill.value(Fact.CONNECTOR_VERSION).filter(CONNECTOR_VERSIONS::contains).isPresent()
        && prefill.value(Fact.ATTENTION_BACKEND).filter(BACKENDS::contains).isPresent()
        && same(Fact.CONNECTOR_VERSION, prefill, decode)
        && same(Fact.ATTENTION_BACKEND, prefill, decode)
        && same(Fact.TENSOR_PARALLEL, prefill, decode)
        && same(Fact.LAYOUT, prefill, decode)
        && same(Fact.HASH, prefill, decode);
  }

  private static <T> boolean same(Fact<T> fact, EngineProfile prefill, EngineProfile decode) {
    Optional<T> value = prefill.value(fact);
    return value.isPresent() && value.equals(decode.value(fact));
  }
}
