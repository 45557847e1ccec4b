package dev.millrace.layout.compatibility;

import dev.millrace.layout.ElementType;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Something that can be known of an engine. A key of {@link EngineProfile} that knows the type of
 * its value.
 *
 * <p>Names of flags and of fields are those of vLLM v0.32.
 */
public final class Fact<T> {
  private static final List<Fact<?>> ALL = new ArrayList<>();

  /** Whose rules the engine follows. */
  public static final Fact<EngineKind> KIND = fact("engine", "the pool's engine");

  /** {@code vllm.__version__}. */
  public static final Fact<String> VLLM_VERSION = fact("vllm-version", "GET /version");

  /** {@code NIXL_CONNECTOR_VERSION}. */
  public static final Fact<Integer> CONNECTOR_VERSION =
      fact("connector-version", "the vLLM version");

  /** Release of NIXL, which nothing on the wire tells. */
  public static final Fact<String> NIXL_VERSION = fact("nixl-version", "a declaration");

  /** Other vLLM versions that an operator vouches for: they keep and read blocks as this one. */
  public static final Fact<Set<String>> INTERCHANGEABLE_VERSIONS =
      fact("interchangeable-versions", "a declaration");

  /** The model as given on the engine's command line: a name or a path. */
  public static final Fact<String> MODEL = fact("model", "the engine's command line");

  /** Revision or checksum of the weights. */
  public static final Fact<String> MODEL_REVISION =
      fact("model-revision", "the engine's command line");

  /** Rotary embedding and other overrides of the model's configuration, in any canonical form. */
  public static final Fact<String> ROPE =
      fact("rope", "the model's config.json and --hf-overrides");

  /** The model's class. */
  public static final Fact<Architecture> ARCHITECTURE =
      fact("architecture", "the model's config.json");

  /** What the model keeps in its cache. */
  public static final Fact<ModelShape> SHAPE = fact("model-shape", "the model's config.json");

  /** KV heads before tensor parallelism. */
  public static final Fact<Integer> KV_HEADS = fact("kv-heads", "the model's config.json");

  /** Elements per head. */
  public static final Fact<Integer> HEAD_SIZE = fact("head-size", "the model's config.json");

  /** Layers before pipeline parallelism. */
  public static final Fact<Integer> HIDDEN_LAYERS =
      fact("hidden-layers", "the model's config.json");

  /** PyTorch's name of the model's type, such as {@code torch.bfloat16}. */
  public static final Fact<String> DTYPE = fact("dtype", "--dtype or the model's config.json");

  /** {@code --kv-cache-dtype} as it was given. */
  public static final Fact<String> CACHE_DTYPE =
      fact("cache-dtype", "vllm:cache_config_info in /metrics");

  /** Type of the elements in the cache. */
  public static final Fact<ElementType> CACHE_ELEMENT =
      fact("cache-element", "the cache dtype and the model's dtype");

  /** Where scales of a quantised cache are. */
  public static final Fact<KvScales> KV_SCALES = fact("kv-scales", "a declaration");

  /** Attention backend of the first layer. */
  public static final Fact<String> ATTENTION_BACKEND =
      fact("attention-backend", "the side-channel handshake");

  /** Tensor-parallel size. */
  public static final Fact<Integer> TENSOR_PARALLEL =
      fact("tensor-parallel", "tp_size of a prefill leg");

  /** Pipeline-parallel size. */
  public static final Fact<Integer> PIPELINE_PARALLEL =
      fact("pipeline-parallel", "pp_size of a prefill leg");

  /** Decode-context-parallel size. */
  public static final Fact<Integer> DECODE_CONTEXT_PARALLEL =
      fact("decode-context-parallel", "the side-channel handshake");

  /** Prefill-context-parallel size. */
  public static final Fact<Integer> PREFILL_CONTEXT_PARALLEL =
      fact("prefill-context-parallel", "the side-channel handshake");

  /** Tokens of a block as the scheduler counts, {@code --block-size}. */
  public static final Fact<Integer> BLOCK_SIZE =
      fact("block-size", "vllm:cache_config_info in /metrics");

  /** Tokens of a block as the attention kernel sees it, {@code block_size} of the handshake. */
  public static final Fact<Integer> KERNEL_BLOCK_SIZE =
      fact("kernel-block-size", "the side-channel handshake");

  /** Kernel blocks per scheduler block, {@code physical_blocks_per_logical_kv_block}. */
  public static final Fact<Integer> KERNEL_BLOCKS_PER_BLOCK =
      fact("kernel-blocks-per-block", "the side-channel handshake");

  /** Order of the axes inside a block. */
  public static final Fact<Layout> LAYOUT = fact("layout", "the side-channel handshake");

  /** Whether a block holds all layers in effect, whatever the flag says. */
  public static final Fact<Boolean> CROSS_LAYER_BLOCKS =
      fact("cross-layer-blocks", "the side-channel handshake");

  /** Bytes of a kernel block in each region of rank (0, 0). */
  public static final Fact<List<Long>> BLOCK_LENS =
      fact("block-lens", "the side-channel handshake");

  /** Names of the regions of rank (0, 0). */
  public static final Fact<List<String>> REGION_NAMES =
      fact("region-names", "the side-channel handshake");

  /** Number of blocks of each rank that was asked. */
  public static final Fact<List<Integer>> RANK_BLOCKS =
      fact("blocks-of-ranks", "the side-channel handshake");

  /** Whether the hybrid KV-cache manager is on. */
  public static final Fact<Boolean> HYBRID_CACHE_MANAGER =
      fact("hybrid-kv-cache-manager", "--disable-hybrid-kv-cache-manager");

  /** Order in which convolution states are kept, {@code VLLM_SSM_CONV_STATE_LAYOUT}. */
  public static final Fact<String> CONV_STATE_LAYOUT =
      fact("conv-state-layout", "the engine's environment");

  /** Speculative decoding. */
  public static final Fact<SpeculativeSetup> SPECULATION =
      fact("speculation", "--speculative-config");

  /** Whether the engine keeps blocks for prompts that begin alike. */
  public static final Fact<Boolean> PREFIX_CACHING =
      fact("prefix-caching", "vllm:cache_config_info in /metrics");

  /** {@code --kv-transfer-config}. */
  public static final Fact<ConnectorConfig> CONNECTOR =
      fact("kv-transfer-config", "--kv-transfer-config");

  /** Which side moves the blocks. */
  public static final Fact<TransferMode> TRANSFER_MODE =
      fact("transfer-mode", "transfer_mode of a prefill leg");

  /** Whether the engine, as a reader, insists on equal hashes. */
  public static final Fact<Boolean> ENFORCES_HASH =
      fact("enforce-handshake-compat", "--kv-transfer-config");

  /** Whether the engine, as a reader, permutes HND blocks into its own NHD. */
  public static final Fact<Boolean> PERMUTES_LOCAL_KV =
      fact("enable-permute-local-kv", "--kv-transfer-config");

  /** Whether blocks go through host memory on their way. */
  public static final Fact<Boolean> HOST_BUFFER = fact("host-buffer", "--kv-transfer-config");

  /** How long blocks are kept that nobody reads. */
  public static final Fact<Duration> LEASE = fact("lease", "--kv-transfer-config");

  /** {@code compatibility_hash} of the handshake, 64 hexadecimal digits. */
  public static final Fact<String> HASH = fact("compatibility-hash", "the side-channel handshake");

  /** The engine's id in hand-offs. */
  public static final Fact<String> ENGINE_ID = fact("engine-id", "the side-channel handshake");

  /** Host that the engine advertises for handshakes. */
  public static final Fact<String> SIDE_CHANNEL_HOST =
      fact("side-channel-host", "remote_host of a prefill leg");

  /** Port that the engine advertises for handshakes, that of its data-parallel rank. */
  public static final Fact<Integer> SIDE_CHANNEL_PORT =
      fact("side-channel-port", "remote_port of a prefill leg");

  /** Host of the engine's HTTP endpoint. */
  public static final Fact<String> HTTP_HOST = fact("http-host", "the worker's url");

  /** Data-parallel rank behind that endpoint. */
  public static final Fact<Integer> DATA_PARALLEL_RANK =
      fact("data-parallel-rank", "engine_id of the handshake");

  private final String name;
  private final String learntFrom;

  private Fact(String name, String learntFrom) {
    this.name = name;
    this.learntFrom = learntFrom;
  }

  private static <T> Fact<T> fact(String name, String learntFrom) {
    Fact<T> fact = new Fact<>(name, learntFrom);
    ALL.add(fact);
    return fact;
  }

  /** All there are, in the order in which they are shown. */
  public static List<Fact<?>> all() {
    return List.copyOf(ALL);
  }

  /**
   * What a profile or a builder keeps under this key, of which it has put only {@code T}s there.
   */
  @SuppressWarnings("unchecked")
  Optional<Known<T>> in(Map<Fact<?>, Known<?>> facts) {
    return Optional.ofNullable((Known<T>) facts.get(this));
  }

  /** Where one can learn it, other than by a declaration. */
  public String learntFrom() {
    return learntFrom;
  }

  /** Its name, in kebab-case. */
  @Override
  public String toString() {
    return name;
  }
}
