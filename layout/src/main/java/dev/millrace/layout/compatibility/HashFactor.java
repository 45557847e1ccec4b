package dev.millrace.layout.compatibility;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * What goes into vLLM's compatibility hash, and whether an agent may stand between engines that
 * differ in it.
 *
 * <p>An agent shows the decode engine that engine's own hash, and by that switches off vLLM's check
 * of all factors at once. So this table stands in its place: a factor that changes bytes, or what
 * they mean, may never differ; one that merely stands for something else may, if that is known to
 * be equal.
 */
public enum HashFactor {
  MODEL(
      "model",
      Fact.MODEL,
      1,
      MayDiffer.IF_PROVEN,
      "the string is a name or a path: the revision, the rotary embedding and the shape must be"
          + " known to be equal"),
  NUM_KV_HEADS("num_kv_heads", Fact.KV_HEADS, 1, MayDiffer.NEVER, "another model"),
  HEAD_SIZE("head_size", Fact.HEAD_SIZE, 1, MayDiffer.NEVER, "another model"),
  NUM_HIDDEN_LAYERS("num_hidden_layers", Fact.HIDDEN_LAYERS, 1, MayDiffer.NEVER, "another model"),
  DTYPE("dtype", Fact.DTYPE, 1, MayDiffer.NEVER, "other values, mostly of another size"),
  CACHE_DTYPE(
      "cache_dtype",
      Fact.CACHE_DTYPE,
      1,
      MayDiffer.IF_PROVEN,
      "auto and the name of the same type are one; any other type is not"),
  VLLM_VERSION(
      "vllm_version",
      Fact.VLLM_VERSION,
      1,
      MayDiffer.BY_DECLARATION,
      "an operator vouches that both keep their blocks alike"),
  NIXL_CONNECTOR_VERSION(
      "nixl_connector_version",
      Fact.CONNECTOR_VERSION,
      1,
      MayDiffer.BY_DECLARATION,
      "as the vLLM version; a relay speaks to each engine as that engine does, a bridge only passes"
          + " on notifications and strides that both know"),
  ATTN_BACKEND_NAME(
      "attn_backend_name",
      Fact.ATTENTION_BACKEND,
      1,
      MayDiffer.IF_PROVEN,
      "what a block looks like inside must be known on both sides, and be the same for a bridge"),
  TRANSFER_MODE(
      "transfer_mode", Fact.TRANSFER_MODE, 7, MayDiffer.NEVER, "agents speak the pull protocol"),
  SPECULATIVE_CONFIG(
      "speculative_config",
      Fact.SPECULATION,
      6,
      MayDiffer.NEVER,
      "a draft model's keys and values are part of the cache"),
  IS_HMA_ENABLED(
      "is_hma_enabled",
      Fact.HYBRID_CACHE_MANAGER,
      2,
      MayDiffer.IF_PROVEN,
      "a model with one KV-cache group has the same blocks with and without the manager"),
  CROSS_LAYERS_BLOCKS(
      "cross_layers_blocks",
      Fact.CROSS_LAYER_BLOCKS,
      1,
      MayDiffer.IF_PROVEN,
      "a matter of strides: by relay always, by bridge where a layer is contiguous in its block");

  /** The last connector version that hashes {@link #CROSS_LAYERS_BLOCKS}. */
  private static final int LAST_WITH_CROSS_LAYERS = 8;

  /** Whether engines that differ in a factor may be paired by an agent. */
  public enum MayDiffer {
    NEVER,
    /** Only where an operator vouches for it. */
    BY_DECLARATION,
    /** Where what the factor stands for is known to be equal, or can be overcome. */
    IF_PROVEN
  }

  private final String vllmName;
  private final Fact<?> fact;
  private final int since;
  private final MayDiffer mayDiffer;
  private final String condition;

  HashFactor(String vllmName, Fact<?> fact, int since, MayDiffer mayDiffer, String condition) {
    this.vllmName = vllmName;
    this.fact = fact;
    this.since = since;
    this.mayDiffer = mayDiffer;
    this.condition = condition;
  }

  /** The factors of a connector version. */
  public static List<HashFactor> of(int connectorVersion) {
    return Arrays.stream(values()).filter(factor -> factor.isIn(connectorVersion)).toList();
  }

  /** The factor that vLLM calls so. */
  public static Optional<HashFactor> called(String vllmName) {
    return Arrays.stream(values()).filter(each -> each.vllmName.equals(vllmName)).findFirst();
  }

  /** vLLM's name of it. */
  public String vllmName() {
    return vllmName;
  }

  /** What it is taken from. */
  public Fact<?> fact() {
    return fact;
  }

  /** Whether this connector version hashes it. */
  public boolean isIn(int connectorVersion) {
    return connectorVersion >= since
        && (this != CROSS_LAYERS_BLOCKS || connectorVersion <= LAST_WITH_CROSS_LAYERS);
  }

  /** Whether an agent may show a decode engine that it is equal. */
  public MayDiffer mayDiffer() {
    return mayDiffer;
  }

  /** When it may, or why it never may. */
  public String condition() {
    return condition;
  }
}
