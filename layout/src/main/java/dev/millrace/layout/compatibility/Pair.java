package dev.millrace.layout.compatibility;

import dev.millrace.layout.ModelShape;
import java.util.List;
import java.util.Optional;

/** A prefill and a decode engine, and what both together are. */
record Pair(EngineProfile prefill, EngineProfile decode) {

  <T> Optional<T> prefill(Fact<T> fact) {
    return prefill.value(fact);
  }

  <T> Optional<T> decode(Fact<T> fact) {
    return decode.value(fact);
  }

  boolean bothKnow(Fact<?> fact) {
    return prefill(fact).isPresent() && decode(fact).isPresent();
  }

  /** Whether both know the fact, and it is not the same. */
  boolean differIn(Fact<?> fact) {
    return bothKnow(fact) && !prefill(fact).equals(decode(fact));
  }

  /** A fact of the model: of either engine, as far as it is known. */
  <T> Optional<T> either(Fact<T> fact) {
    return decode(fact).or(() -> prefill(fact));
  }

  Hashes hashes() {
    if (!bothKnow(Fact.HASH)) {
      return Hashes.UNKNOWN;
    }
    return differIn(Fact.HASH) ? Hashes.UNEQUAL : Hashes.EQUAL;
  }

  /** The connector that reads, and by whose rules. */
  Optional<ConnectorRelease> release() {
    return either(Fact.CONNECTOR_VERSION).map(ConnectorRelease::new);
  }

  boolean isLatent() {
    return either(Fact.ARCHITECTURE).map(Architecture::isLatent).orElse(false);
  }

  boolean isHybrid() {
    return either(Fact.ARCHITECTURE).equals(Optional.of(Architecture.HYBRID));
  }

  /** The number of KV-cache groups; empty if it is not known. Hybrids have more than one. */
  Optional<Integer> groups() {
    return either(Fact.SHAPE)
        .map(ModelShape::groups)
        .map(List::size)
        .or(() -> isHybrid() ? Optional.of(2) : Optional.empty());
  }

  /** Whether blocks of the decode engine are larger than those of the prefill engine. */
  boolean blocksDiffer() {
    return differIn(Fact.KERNEL_BLOCK_SIZE);
  }

  boolean tensorParallelismDiffers() {
    return differIn(Fact.TENSOR_PARALLEL);
  }

  boolean isOfBackend(String backend) {
    Optional<String> wanted = Optional.of(backend);
    return prefill(Fact.ATTENTION_BACKEND).equals(wanted)
        || decode(Fact.ATTENTION_BACKEND).equals(wanted);
  }
}
