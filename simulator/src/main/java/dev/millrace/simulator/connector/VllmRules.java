package dev.millrace.simulator.connector;

import dev.millrace.layout.AxisName;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.cache.CacheShape;
import dev.millrace.transfer.sidechannel.AgentMetadata;
import java.util.List;
import java.util.Optional;

/**
 * What vLLM's connector checks of the ranks that it would read from, once their hash is its own
 * (0.32.0, {@code _validate_remote_agent_handshake}), in its order and with its messages; what only
 * older releases refuse is said in our own words.
 */
final class VllmRules {
  private final EngineConfig config;

  VllmRules(EngineConfig config) {
    this.config = config;
  }

  /**
   * Why an engine is refused.
   *
   * @param own what this engine says of itself
   * @param ranks what each tensor-parallel rank said
   */
  Optional<String> refuse(AgentMetadata own, List<AgentMetadata> ranks) {
    GeometrySpec geometry = config.geometry();
    AgentMetadata remote = ranks.getFirst();
    int decode = geometry.parallelism().tensor();
    int prefill = ranks.size();
    int heads = geometry.model().kvHeads();
    boolean mla = geometry.model().isMla();
    if (decode >= prefill && decode % prefill != 0) {
      return Optional.of(
          "Local tensor parallel size %d is not divisible by remote tensor parallel size %d."
              .formatted(decode, prefill));
    }
    if (decode < prefill && prefill % decode != 0) {
      return Optional.of(
          "Remote tensor parallel size %d is not divisible by local tensor parallel size %d."
              .formatted(prefill, decode));
    }
    if (own.blockSize() % remote.blockSize() != 0) {
      return Optional.of(
          "Local block size %d is not divisible by remote block size %d or vice versa."
              .formatted(own.blockSize(), remote.blockSize()));
    }
    int ratio = own.blockSize() / remote.blockSize();
    if (ratio != 1 && hasGroups() && !config.release().mapsBlocksOfHybrids()) {
      return Optional.of(
          "Different local/remote block sizes are not supported with the hybrid KV cache manager.");
    }
    if (!mla && decode < prefill && prefill > heads) {
      // It gives no reason: assert not (tp_ratio < 0 and is_kv_replicated).
      return Optional.of("AssertionError");
    }
    if (!mla && decode != prefill && decode > heads && !readsWithMoreRanksThanHeads()) {
      return Optional.of("TP size %d with %d KV heads is not supported".formatted(decode, heads));
    }
    if (!mla && !own.kvCacheLayout().equals(remote.kvCacheLayout())) {
      return Optional.of(
          "Heterogeneous TP expects same kv_cache_layout (local %s, remote %s). Or enable experimental feature to receive LBHNC into a local LBNHC cache by setting 'enable_permute_local_kv'=True in --kv-transfer-config."
              .formatted(own.kvCacheLayout(), remote.kvCacheLayout()));
    }
    if (!mla && decode != prefill && prefill <= heads && !headsAreContiguous()) {
      return Optional.of(
          "Heterogeneous TP head-dimension splitting requires contiguous heads. Use a block-contiguous layout (e.g. LBHNC) on the prefill side.");
    }
    if (!mla && ratio != 1 && decode < prefill) {
      return Optional.of("Different local/remote block sizes are not supported when P TP > D TP.");
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
        return Optional.of("Number of KV layers must match between prefill and decode");
      }
      for (int i = 0; i < own.blockLens().size(); i++) {
        long length = own.blockLens().get(i);
        if (!replicated) {
          length = length * Math.max(1, heads / prefill) / Math.max(1, heads / decode);
        }
        length /= blockRatio;
        if (rank.blockLens().get(i) != length && !lengthsAreNotChecked()) {
          return Optional.of(
              "Region %d: remote block length %d, expected %d"
                  .formatted(i, rank.blockLens().get(i), length));
        }
      }
    }
    return Optional.empty();
  }

  private boolean hasGroups() {
    return config.geometry().model().groups().size() > 1;
  }

  /** With states beside heads a block has room for the larger of the two. */
  private boolean lengthsAreNotChecked() {
    return new CacheShape(config.geometry()).hasStates() && !config.geometry().model().isMla();
  }

  private boolean readsWithMoreRanksThanHeads() {
    return config.release().readsWithMoreRanksThanHeads();
  }

  /** Where K and V are apart in a block, heads are contiguous in each of them. */
  private boolean headsAreContiguous() {
    Layout layout = config.geometry().layout();
    return layout == Layout.HND_SPLIT
        || layout.order().getFirst() == AxisName.HEAD
        || !layout.order().contains(AxisName.HEAD);
  }
}
