package dev.millrace.simulator.connector;

import dev.millrace.layout.AxisName;
import dev.millrace.layout.CompatibilityHash;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.Pairing;
import dev.millrace.transfer.sidechannel.AgentMetadata;
import java.util.List;
import java.util.Optional;

/**
 * Whether blocks may be loaded from a prefill engine, by what it says in the handshake.
 *
 * <p>Under {@link Pairing#VLLM} the rules are those of vLLM's connector (0.32.0, {@code
 * _validate_remote_agent_handshake}), with its messages where they were recorded. Under {@link
 * Pairing#ANY} a plan decides; only the hash is looked at, with the factors that a plan overcomes
 * taken out: the attention backend, and whether the engine calls itself simulated.
 */
final class PairingRules {
  /** {@code NIXL_CONNECTOR_VERSION} of vLLM 0.32.0. */
  static final int CONNECTOR_VERSION = 14;

  private final EngineConfig config;

  PairingRules(EngineConfig config) {
    this.config = config;
  }

  /** This engine's hash. */
  String ownHash() {
    return hash(config.version(), config.attentionBackend());
  }

  private String hash(String version, String backend) {
    ModelShape model = config.geometry().model();
    return new CompatibilityHash(
            version,
            CONNECTOR_VERSION,
            config.model(),
            model.element().vllmName(),
            model.kvHeads(),
            model.headSize(),
            model.layers(),
            backend,
            "auto",
            config.geometry().layout().isCrossLayer(),
            true,
            null,
            "pull")
        .hex();
  }

  /** Why an engine with this hash is refused, asked before its metadata are read. */
  Optional<String> refuseHash(String remote) {
    if (config.pairing() == Pairing.ANY || remote.equals(ownHash())) {
      return Optional.empty();
    }
    return Optional.of(
        "NIXL compatibility hash mismatch. Local: %s, Remote: %s.".formatted(ownHash(), remote));
  }

  /**
   * Why an engine is refused.
   *
   * @param ranks what each tensor-parallel rank said
   */
  Optional<String> refuse(String remoteHash, AgentMetadata own, List<AgentMetadata> ranks) {
    return switch (config.pairing()) {
      case ANY -> refuseOtherModel(remoteHash, ranks.getFirst());
      case VLLM -> refuseAsVllm(own, ranks);
    };
  }

  private Optional<String> refuseOtherModel(String remoteHash, AgentMetadata remote) {
    for (Pairing pairing : Pairing.values()) {
      String version = EngineConfig.builder().pairing(pairing).build().version();
      if (remoteHash.equals(hash(version, remote.attnBackendName()))
          || remoteHash.equals(hash(version, config.attentionBackend()))) {
        return Optional.empty();
      }
    }
    return Optional.of(
        "compatibility hash %s is not that of model %s with %s: the engines differ in more than their attention backend"
            .formatted(remoteHash, config.model(), config.geometry().model().element().vllmName()));
  }

  private Optional<String> refuseAsVllm(AgentMetadata own, List<AgentMetadata> ranks) {
    GeometrySpec geometry = config.geometry();
    AgentMetadata remote = ranks.getFirst();
    int decode = geometry.parallelism().tensor();
    int prefill = ranks.size();
    int heads = geometry.model().kvHeads();
    boolean mla = geometry.model().isMla();
    if (decode % prefill != 0 && prefill % decode != 0) {
      return Optional.of(
          "Local TP size %d and remote TP size %d do not divide".formatted(decode, prefill));
    }
    if (own.blockSize() % remote.blockSize() != 0) {
      return Optional.of(
          "Local block size %d is not divisible by remote block size %d or vice versa."
              .formatted(own.blockSize(), remote.blockSize()));
    }
    int ratio = own.blockSize() / remote.blockSize();
    if (ratio != 1 && decode < prefill) {
      return Optional.of("Different local/remote block sizes are not supported when P TP > D TP.");
    }
    if (!mla && decode < prefill && prefill > heads) {
      return Optional.of(
          "%d remote ranks replicate %d KV heads, and there are only %d local ranks"
              .formatted(prefill, heads, decode));
    }
    if (!mla && !own.kvCacheLayout().equals(remote.kvCacheLayout())) {
      return Optional.of(
          "Local layout %s, remote layout %s"
              .formatted(own.kvCacheLayout(), remote.kvCacheLayout()));
    }
    if (!mla && decode != prefill && prefill <= heads && !headsAreContiguous()) {
      return Optional.of(
          "Layout %s does not allow different TP sizes".formatted(own.kvCacheLayout()));
    }
    return refuseRegions(own, ranks, ratio);
  }

  private Optional<String> refuseRegions(
      AgentMetadata own, List<AgentMetadata> ranks, int blockRatio) {
    int decode = config.geometry().parallelism().tensor();
    int prefill = ranks.size();
    int heads = config.geometry().model().kvHeads();
    boolean replicated = config.geometry().model().isMla() || prefill > heads;
    for (AgentMetadata rank : ranks) {
      if (rank.numBlocks() != ranks.getFirst().numBlocks()) {
        return Optional.of("Remote ranks have different numbers of blocks");
      }
      if (rank.blockLens().size() != own.blockLens().size()) {
        return Optional.of(
            "Local engine has %d regions, remote engine %d"
                .formatted(own.blockLens().size(), rank.blockLens().size()));
      }
      for (int i = 0; i < own.blockLens().size(); i++) {
        long length = own.blockLens().get(i);
        if (!replicated) {
          length = length * Math.max(1, heads / prefill) / Math.max(1, heads / decode);
        }
        length /= blockRatio;
        if (rank.blockLens().get(i) != length) {
          return Optional.of(
              "Region %d: remote block length %d, expected %d"
                  .formatted(i, rank.blockLens().get(i), length));
        }
      }
    }
    return Optional.empty();
  }

  private boolean headsAreContiguous() {
    Layout layout = config.geometry().layout();
    return layout.order().getFirst() == AxisName.HEAD || !layout.order().contains(AxisName.HEAD);
  }
}
