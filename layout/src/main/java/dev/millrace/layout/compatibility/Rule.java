package dev.millrace.layout.compatibility;

import java.util.Locale;

/**
 * What two engines must agree on, the most fundamental first: reasons are given in this order, so
 * that the first one is worth mending first.
 */
public enum Rule {
  /** An engine is what it is said to be. */
  CONTRADICTION("Millrace: what is declared must be what the engine says"),
  /**
   * The prefill engine has a connector that hands blocks over, the decode engine one that reads.
   */
  NIXL_CONNECTOR("vLLM v0.32 kv_connector/factory.py"),
  /** The model's class can be split over two engines. */
  ARCHITECTURE("vLLM docs, NixlConnector compatibility matrix"),
  /** The same model, by the string on the command line. */
  MODEL(Sources.HASH),
  /** The same weights. */
  MODEL_REVISION("Millrace: other weights give other keys and values; vLLM does not compare them"),
  /** The same rotary embedding and overrides. */
  ROPE("Millrace: other positions give other keys; vLLM does not compare them"),
  /** The same heads, head size, layers and KV-cache groups. */
  MODEL_SHAPE(Sources.HASH),
  /** The same element type of the model. */
  DTYPE(Sources.HASH),
  /** The same element type of the cache. */
  CACHE_DTYPE(Sources.HASH),
  /** Scales that travel with the blocks, or need not. */
  KV_SCALES("vLLM docs, NixlConnector compatibility matrix, quantised KV cache"),
  /** The same vLLM. */
  VLLM_VERSION(Sources.HASH),
  /** The same handshake and notifications. */
  CONNECTOR_VERSION(Sources.HASH),
  /** Releases of NIXL that were tried with each other. */
  NIXL_VERSION("NIXL 1.5.1 with 1.4.0 and 1.0.0, block reads between processes on one host"),
  /** The same attention backend. */
  ATTENTION_BACKEND(Sources.HASH),
  /** Both pull, or both push. */
  TRANSFER_MODE("vLLM v0.28 nixl/metadata.py compute_nixl_compatibility_hash (vllm#50620)"),
  /** The same speculative decoding. */
  SPECULATION("vLLM docs, NixlConnector compatibility matrix, footnote 1"),
  /** The hybrid KV-cache manager on both sides or on none. */
  HYBRID_CACHE_MANAGER(Sources.HASH),
  /** All layers in one block on both sides or on none. */
  CROSS_LAYER_BLOCKS("vLLM v0.19 to v0.28 nixl/metadata.py compute_nixl_compatibility_hash"),
  /** Equal hashes. */
  COMPATIBILITY_HASH("vLLM v0.32 nixl/base_worker.py _nixl_handshake"),

  /** Two engines are not one. */
  ENGINE_ID("vLLM v0.32 nixl/base_worker.py _nixl_handshake (vllm#23086)"),
  /** The decode engine finds the prefill engine, and not itself. */
  SIDE_CHANNEL("vLLM v0.32 nixl/base_scheduler.py _nixl_handshake_listener (vllm#27083)"),

  /** One tensor-parallel size divides the other. */
  TENSOR_PARALLEL("vLLM v0.32 kv_connector/utils.py TransferTopology.tp_ratio"),
  /** Prefill ranks that share a head are not gathered by fewer decode ranks. */
  REPLICATED_HEADS(Sources.VALIDATE),
  /** Decode ranks that outnumber the heads, in older releases. */
  MORE_RANKS_THAN_HEADS("vLLM before v0.25 nixl/base_worker.py (vllm#45330, mended by #45879)"),
  /** State-space states between unequal tensor parallelism. */
  HYBRID_TENSOR_PARALLEL("vLLM docs, NixlConnector compatibility matrix, footnote 5"),
  /** Pipeline stages. */
  PIPELINE_PARALLEL("vLLM v0.32 nixl/push_worker.py: stages on the pushing side alone"),
  /** Context parallelism. */
  CONTEXT_PARALLEL("vLLM v0.32 nixl/base_worker.py _validate_remote_parallel_config"),

  /** The prefill engine's blocks divide the decode engine's. */
  BLOCK_SIZE("vLLM v0.32 kv_connector/utils.py TransferTopology.block_size_ratio"),
  /** CPU attention keeps K transposed over its block, so its size cannot change on the way. */
  CPU_BLOCK_INTERIOR("observed: vLLM v0.32.0 on CPUs answers wrong with blocks of 32 and 64"),
  /** A prefix hit shifts the blocks that are read if block sizes differ. */
  PREFIX_CACHE_SHIFT("vLLM v0.28 nixl/base_worker.py _apply_prefix_caching, executed apart"),
  /** Unequal blocks do not go together with gathering heads. */
  BLOCK_SIZE_WITH_TENSOR_PARALLEL(Sources.VALIDATE),
  /** Unequal blocks under the hybrid KV-cache manager. */
  HYBRID_BLOCK_SIZE("vLLM docs, NixlConnector compatibility matrix, footnotes 3 and 6"),
  /** Kernel blocks of hybrids with a prefix cache. */
  HYBRID_KERNEL_BLOCKS(Sources.VALIDATE),
  /** Unequal blocks do not go through a buffer in host memory. */
  HOST_BUFFER_BLOCK_SIZE(Sources.VALIDATE),
  /** Both caches in the same kind of memory, in releases that do not say which. */
  BUFFER_MEMORY(
      "vLLM before v0.30 nixl/base_worker.py: remote descriptors have the local memory type"),

  /** The same order of axes. */
  LAYOUT(Sources.VALIDATE),
  /** Heads that are contiguous where they must be split. */
  HEADS_NOT_CONTIGUOUS(Sources.VALIDATE),
  /** CPU attention repacks what comes from another backend. */
  CPU_REPACKING(Sources.VALIDATE),
  /** Convolution states that can be split. */
  CONV_STATE_LAYOUT("vLLM v0.32 kv_connector/v1/ssm_conv_transfer_utils.py"),
  /** As many regions on both sides, of the same names. */
  REGIONS(Sources.VALIDATE),
  /** Blocks of the expected lengths. */
  REGION_LENGTHS(Sources.VALIDATE),
  /** Ranks of one engine that have as many blocks as each other. */
  RANK_BLOCKS(Sources.VALIDATE),

  /** A bridge has words only for what is contiguous and evenly spaced. */
  NOT_DESCRIBABLE("Millrace: what a handshake can say of memory"),
  /** A relay lays out only what it knows the inside of. */
  UNKNOWN_INTERIOR("Millrace: layouts that are known"),
  /** A relay moves only what can be planned. */
  NOT_PLANNED("Millrace: what can be planned");

  /** Sources of several rules. */
  private static final class Sources {
    static final String HASH = "vLLM v0.32 nixl/metadata.py compute_nixl_compatibility_hash";
    static final String VALIDATE =
        "vLLM v0.32 nixl/base_worker.py _validate_remote_agent_handshake";
  }

  private final String source;

  Rule(String source) {
    this.source = source;
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
