package dev.millrace.layout.compatibility;

import java.util.Locale;

/**
 * What two engines must agree on, the most fundamental first: reasons are given in this order, so
 * that the first one is worth mending first.
 */
public enum Rule {
  CONTRADICTION(
      "what is declared of an engine is what the engine says",
      "Millrace: what is declared must be what the engine says"),
  NIXL_CONNECTOR("both engines have a NIXL connector", "vLLM v0.32 kv_connector/factory.py"),
  ARCHITECTURE(
      "a class of models that can be split over two engines",
      "vLLM docs, NixlConnector compatibility matrix"),
  MODEL("the same model string on the command line", Sources.HASH),
  MODEL_REVISION(
      "the same weights",
      "Millrace: other weights give other keys and values; vLLM does not compare them"),
  ROPE(
      "the same rotary embedding and overrides",
      "Millrace: other positions give other keys; vLLM does not compare them"),
  MODEL_SHAPE("the same heads, head size, layers and KV-cache groups", Sources.HASH),
  DTYPE("the same element type of the model", Sources.HASH),
  CACHE_DTYPE("the same element type of the cache", Sources.HASH),
  KV_SCALES(
      "scales that are in the checkpoint or inside the blocks",
      "vLLM docs, NixlConnector compatibility matrix, quantised KV cache"),
  VLLM_VERSION("the same vLLM version", Sources.HASH),
  CONNECTOR_VERSION("the same NIXL connector version", Sources.HASH),
  NIXL_VERSION(
      "NIXL releases that work with each other",
      "NIXL 1.5.1 with 1.4.0 and 1.0.0, block reads between processes on one host"),
  ATTENTION_BACKEND("the same attention backend", Sources.HASH),
  TRANSFER_MODE(
      "both pull, or both push",
      "vLLM v0.28 nixl/metadata.py compute_nixl_compatibility_hash (vllm#50620)"),
  SPECULATION(
      "the same speculative decoding", "vLLM docs, NixlConnector compatibility matrix, footnote 1"),
  HYBRID_CACHE_MANAGER("the hybrid KV-cache manager on both sides or on none", Sources.HASH),
  CROSS_LAYER_BLOCKS(
      "all layers in one block on both sides or on none",
      "vLLM v0.19 to v0.28 nixl/metadata.py compute_nixl_compatibility_hash"),
  COMPATIBILITY_HASH(
      "equal compatibility hashes", "vLLM v0.32 nixl/base_worker.py _nixl_handshake"),

  ENGINE_ID(
      "an engine id of its own for each engine",
      "vLLM v0.32 nixl/base_worker.py _nixl_handshake (vllm#23086)"),
  SIDE_CHANNEL(
      "a side channel that leads the decode engine to the prefill engine",
      "vLLM v0.32 nixl/base_scheduler.py _nixl_handshake_listener (vllm#27083)"),

  TENSOR_PARALLEL(
      "tensor-parallel sizes of which one divides the other",
      "vLLM v0.32 kv_connector/utils.py TransferTopology.tp_ratio"),
  REPLICATED_HEADS(
      "no more prefill ranks than KV heads, if there are fewer decode ranks", Sources.VALIDATE),
  MORE_RANKS_THAN_HEADS(
      "no more decode ranks than KV heads, in older releases",
      "vLLM before v0.25 nixl/base_worker.py (vllm#45330, mended by #45879)"),
  HYBRID_TENSOR_PARALLEL(
      "the same tensor-parallel size for models with states, in older releases",
      "vLLM docs, NixlConnector compatibility matrix, footnote 5"),
  PIPELINE_PARALLEL(
      "one pipeline stage, but on prefill engines that push",
      "vLLM v0.32 nixl/push_worker.py: stages on the pushing side alone"),
  CONTEXT_PARALLEL(
      "context parallelism of sizes that divide each other, with MLA",
      "vLLM v0.32 nixl/base_worker.py _validate_remote_parallel_config"),

  BLOCK_SIZE(
      "a block size of the prefill engine that divides the decode engine's",
      "vLLM v0.32 kv_connector/utils.py TransferTopology.block_size_ratio"),
  CPU_BLOCK_INTERIOR(
      "the same block size with CPU attention, which keeps K transposed over a block",
      "observed: vLLM v0.32.0 on CPUs answers wrong with blocks of 32 and 64"),
  PREFIX_CACHE_SHIFT(
      "the same block size, or no prefix cache on the decode engine",
      "vLLM v0.28 nixl/base_worker.py _apply_prefix_caching, executed apart"),
  BLOCK_SIZE_WITH_TENSOR_PARALLEL(
      "the same block size, if there are fewer decode than prefill ranks", Sources.VALIDATE),
  HYBRID_BLOCK_SIZE(
      "the same block size under the hybrid KV-cache manager, in older releases",
      "vLLM docs, NixlConnector compatibility matrix, footnotes 3 and 6"),
  HYBRID_KERNEL_BLOCKS(
      "as many kernel blocks per block for hybrids, or no prefix cache on the decode engine",
      Sources.VALIDATE),
  HOST_BUFFER_BLOCK_SIZE(
      "the same block size, if the decode engine has a buffer in host memory", Sources.VALIDATE),
  BUFFER_MEMORY(
      "buffers in the same kind of memory, in older releases",
      "vLLM before v0.30 nixl/base_worker.py: remote descriptors have the local memory type"),

  LAYOUT("the same order of axes inside a block", Sources.VALIDATE),
  HEADS_NOT_CONTIGUOUS(
      "heads outermost in a block, if tensor-parallel sizes differ", Sources.VALIDATE),
  CPU_REPACKING(
      "no hybrid KV-cache manager, if CPU attention reads from another backend", Sources.VALIDATE),
  CONV_STATE_LAYOUT(
      "VLLM_SSM_CONV_STATE_LAYOUT=DS for models with states",
      "vLLM v0.32 kv_connector/v1/ssm_conv_transfer_utils.py"),
  REGIONS("as many registered regions, of the same names", Sources.VALIDATE),
  REGION_LENGTHS("blocks of the length that heads and block sizes make expect", Sources.VALIDATE),
  RANK_BLOCKS("as many blocks on all ranks of the prefill engine", Sources.VALIDATE),

  NOT_DESCRIBABLE(
      "by bridge: layers that are contiguous in their block, and strides in the handshake",
      "Millrace: what a handshake can say of memory"),
  UNKNOWN_INTERIOR(
      "by relay: attention backends whose blocks are known inside",
      "Millrace: layouts that are known"),
  NOT_PLANNED("by relay: geometries for which there are plans", "Millrace: what can be planned");

  /** Sources of several rules. */
  private static final class Sources {
    static final String HASH = "vLLM v0.32 nixl/metadata.py compute_nixl_compatibility_hash";
    static final String VALIDATE =
        "vLLM v0.32 nixl/base_worker.py _validate_remote_agent_handshake";
  }

  private final String asks;
  private final String source;

  Rule(String asks, String source) {
    this.asks = asks;
    this.source = source;
  }

  /** What it asks for, in words that can stand in a list. */
  public String asks() {
    return asks;
  }

  /** Where the rule comes from. */
  public String source() {
    return source;
  }

  /** Its stable name, in kebab-case. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
