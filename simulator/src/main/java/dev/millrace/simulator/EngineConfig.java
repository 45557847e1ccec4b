package dev.millrace.simulator;

import dev.millrace.layout.CompatibilityHash;
import dev.millrace.layout.CompatibilityHash.Speculation;
import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Parallelism;
import dev.millrace.layout.compatibility.TransferMode;
import dev.millrace.simulator.cache.CacheShape;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * What a simulated engine is.
 *
 * @param role what it is deployed for
 * @param model the name it is served under; it also seeds the KV bytes, so engines that shall agree
 *     have the same
 * @param adapters LoRA adapters that are loaded, by the names that requests use; each has KV bytes
 *     of its own
 * @param geometry shape, tensor parallelism, block size, layout and number of blocks
 * @param host address to listen on, also told to decode engines
 * @param port HTTP port, 0 for any free one
 * @param sideChannelPort port of the handshake listener, 0 for any free one; that of the first of
 *     several data-parallel ranks, the others have those after it
 * @param dataParallel engines behind the HTTP port, each with a cache and a connector of its own
 * @param release of vLLM that it plays
 * @param pairing from which prefill engines it loads
 * @param loadFailure what becomes of a prompt whose blocks cannot be loaded
 * @param timing how long it pretends to compute
 * @param lease how long blocks stay pinned for a decode engine that gives no sign
 * @param heartbeat how often it asks others to keep blocks pinned that it waits for (vLLM: 5 s)
 * @param transport how its blocks travel to and from other engines
 * @param flags what goes into its compatibility hash beside its geometry
 * @param maxModelLength most tokens of prompt and answer together
 * @param maxRunning most generations at the same time
 * @param maxWaiting most generations that wait; more are refused with 503
 * @param defaultChatTokens length of a chat answer whose request sets no limit; vLLM would go on to
 *     an end token, which the simulated model does not have
 * @param prefixCaching whether prompts' blocks are kept for later prompts
 * @param plain whether to answer canned tokens as fast as possible, without any KV cache
 * @param clock for leases and timestamps
 */
public record EngineConfig(
    EngineRole role,
    String model,
    List<String> adapters,
    GeometrySpec geometry,
    String host,
    int port,
    int sideChannelPort,
    int dataParallel,
    VllmRelease release,
    Pairing pairing,
    LoadFailure loadFailure,
    Timing timing,
    Duration lease,
    Duration heartbeat,
    EngineTransport transport,
    LaunchFlags flags,
    int maxModelLength,
    int maxRunning,
    int maxWaiting,
    int defaultChatTokens,
    boolean prefixCaching,
    boolean plain,
    Clock clock) {

  public EngineConfig {
    adapters = List.copyOf(adapters);
    if (lease.isNegative() || lease.isZero() || heartbeat.toMillis() < 1) {
      throw new IllegalArgumentException(
          "lease=%s (> 0), heartbeat=%s (>= 1 ms)".formatted(lease, heartbeat));
    }
    if (port < 0 || port > 65535 || sideChannelPort < 0 || sideChannelPort > 65535) {
      throw new IllegalArgumentException(
          "port=%d, sideChannelPort=%d (each 0 to 65535)".formatted(port, sideChannelPort));
    }
    if (dataParallel < 1 || (plain && dataParallel > 1)) {
      throw new IllegalArgumentException(
          "dataParallel=%d (>= 1, and 1 for a plain engine, which has no cache)"
              .formatted(dataParallel));
    }
    if (sideChannelPort != 0 && sideChannelPort + dataParallel - 1 > 65535) {
      throw new IllegalArgumentException(
          "sideChannelPort=%d leaves no ports for %d data-parallel ranks"
              .formatted(sideChannelPort, dataParallel));
    }
    if (geometry.model().groups().size() > 1 && !flags.hybridCaches()) {
      throw new IllegalArgumentException(
          "%d KV-cache groups need the hybrid KV-cache manager, which is off (vLLM %s)"
              .formatted(geometry.model().groups().size(), release.version()));
    }
    if (maxModelLength < 2 || maxRunning < 1 || maxWaiting < 1 || defaultChatTokens < 1) {
      throw new IllegalArgumentException(
          "maxModelLength=%d (>= 2), maxRunning=%d, maxWaiting=%d, defaultChatTokens=%d (each >= 1)"
              .formatted(maxModelLength, maxRunning, maxWaiting, defaultChatTokens));
    }
  }

  /**
   * An aggregated engine with a small model, in everything else as a new {@link Builder} has it.
   */
  public static Builder builder() {
    return new Builder();
  }

  /** Without the secret. */
  @Override
  public String toString() {
    return "%s engine of %s at %s:%d".formatted(role, model, host, port);
  }

  /** What {@code /version} answers and the compatibility hash contains. */
  public String version() {
    return pairing.isVllm() ? release.version() : release.version() + "+millrace-sim";
  }

  /** Handshake port of a data-parallel rank. */
  public int sideChannelPort(int rank) {
    return sideChannelPort == 0 ? 0 : sideChannelPort + rank;
  }

  /** What the handshake says that must be equal on both sides. */
  public CompatibilityHash hash() {
    ModelShape shape = geometry.model();
    return new CompatibilityHash(
        version(),
        release.connector().number(),
        flags.modelPath(),
        flags.dtype(),
        shape.kvHeads(),
        shape.headSize(),
        shape.layers(),
        flags.attentionBackend(),
        flags.cacheDtype(),
        geometry.layout().isCrossLayer(),
        flags.hybridCaches(),
        flags.speculation().orElse(null),
        flags.transferMode().toString());
  }

  /** Puts a configuration together; every value has a default. */
  public static final class Builder {
    private EngineRole role = EngineRole.BOTH;
    private String model = "tiny";
    private List<String> adapters = List.of();
    private GeometrySpec geometry =
        new GeometrySpec(
            ModelShape.dense(4, 4, 32, ElementType.BFLOAT16),
            Parallelism.tensor(1),
            16,
            Layout.HND,
            512);
    private String host = "127.0.0.1";
    private int port;
    private int sideChannelPort;
    private int dataParallel = 1;
    private VllmRelease release = VllmRelease.RECORDED;
    private Pairing pairing = Pairing.ANY;
    private LoadFailure loadFailure = LoadFailure.FAIL;
    private Timing timing = Timing.ZERO;
    private Optional<Duration> lease = Optional.empty();
    private Duration heartbeat = Duration.ofSeconds(5);
    private EngineTransport transport = EngineTransport.tcp();
    private Optional<String> modelPath = Optional.empty();
    private Optional<String> dtype = Optional.empty();
    private Optional<String> attentionBackend = Optional.empty();
    private String cacheDtype = "auto";
    private Optional<Boolean> hybridCaches = Optional.empty();
    private Optional<Speculation> speculation = Optional.empty();
    private TransferMode transferMode = TransferMode.PULL;
    private int maxModelLength = Integer.MAX_VALUE;
    private int maxRunning = 256;
    private int maxWaiting = 1024;
    private int defaultChatTokens = 128;
    private boolean prefixCaching = true;
    private boolean plain;
    private Clock clock = Clock.systemUTC();

    private Builder() {}

    /** What the engine is deployed for; {@code BOTH} by default. */
    public Builder role(EngineRole role) {
      this.role = role;
      return this;
    }

    /** The model's name; {@code tiny} by default. */
    public Builder model(String model) {
      this.model = model;
      return this;
    }

    /** Adapters that are loaded; none by default. */
    public Builder adapters(List<String> adapters) {
      this.adapters = adapters;
      return this;
    }

    /** Shape and layout of the cache; by default 4 layers, 4 KV heads of 32, bf16, block 16. */
    public Builder geometry(GeometrySpec geometry) {
      this.geometry = geometry;
      return this;
    }

    /** Address to listen on; loopback by default. */
    public Builder host(String host) {
      this.host = host;
      return this;
    }

    /** HTTP port; any free one by default. */
    public Builder port(int port) {
      this.port = port;
      return this;
    }

    /** Handshake port; any free one by default. */
    public Builder sideChannelPort(int sideChannelPort) {
      this.sideChannelPort = sideChannelPort;
      return this;
    }

    /** Engines behind the HTTP port; 1 by default. */
    public Builder dataParallel(int dataParallel) {
      this.dataParallel = dataParallel;
      return this;
    }

    /** The vLLM that it plays; 0.32.0 by default. */
    public Builder release(VllmRelease release) {
      this.release = release;
      return this;
    }

    /** From which engines it loads; {@code ANY} by default. */
    public Builder pairing(Pairing pairing) {
      this.pairing = pairing;
      return this;
    }

    /** What becomes of a prompt whose blocks cannot be loaded; {@code FAIL} by default. */
    public Builder loadFailure(LoadFailure loadFailure) {
      this.loadFailure = loadFailure;
      return this;
    }

    /** How long it pretends to compute; nothing by default. */
    public Builder timing(Timing timing) {
      this.timing = timing;
      return this;
    }

    /** How long blocks stay pinned; by default as in its release. */
    public Builder lease(Duration lease) {
      this.lease = Optional.of(lease);
      return this;
    }

    /** How often to beat while waiting for blocks; 5 s by default. */
    public Builder heartbeat(Duration heartbeat) {
      this.heartbeat = heartbeat;
      return this;
    }

    /** How blocks travel; by default over TCP between engines that know the default secret. */
    public Builder transport(EngineTransport transport) {
      this.transport = transport;
      return this;
    }

    /** The model as its command line has it; by default the name that it serves. */
    public Builder modelPath(String modelPath) {
      this.modelPath = Optional.of(modelPath);
      return this;
    }

    /** PyTorch's name of the model's type; by default that of the cache's elements. */
    public Builder dtype(String dtype) {
      this.dtype = Optional.of(dtype);
      return this;
    }

    /** Attention backend; by default FLASH_ATTN, or CPU_ATTN with layout {@code cpu}. */
    public Builder attentionBackend(String attentionBackend) {
      this.attentionBackend = Optional.of(attentionBackend);
      return this;
    }

    /** {@code --kv-cache-dtype}; {@code auto} by default. */
    public Builder cacheDtype(String cacheDtype) {
      this.cacheDtype = cacheDtype;
      return this;
    }

    /** Whether the hybrid KV-cache manager is on; by default as in its release. */
    public Builder hybridCaches(boolean on) {
      this.hybridCaches = Optional.of(on);
      return this;
    }

    /** A draft model; none by default. */
    public Builder speculation(Speculation speculation) {
      this.speculation = Optional.of(speculation);
      return this;
    }

    /** Who is said to move the blocks; decode engines by default. */
    public Builder transferMode(TransferMode transferMode) {
      this.transferMode = transferMode;
      return this;
    }

    /** Most tokens of prompt and answer; by default what all blocks can hold. */
    public Builder maxModelLength(int maxModelLength) {
      this.maxModelLength = maxModelLength;
      return this;
    }

    /** Most generations at the same time; 256 by default. */
    public Builder maxRunning(int maxRunning) {
      this.maxRunning = maxRunning;
      return this;
    }

    /** Most generations that wait; 1024 by default. */
    public Builder maxWaiting(int maxWaiting) {
      this.maxWaiting = maxWaiting;
      return this;
    }

    /** Length of a chat answer without a limit; 128 by default. */
    public Builder defaultChatTokens(int defaultChatTokens) {
      this.defaultChatTokens = defaultChatTokens;
      return this;
    }

    /** Whether prompts' blocks are kept for later prompts; they are by default. */
    public Builder prefixCaching(boolean prefixCaching) {
      this.prefixCaching = prefixCaching;
      return this;
    }

    /** Canned tokens, no cache; off by default. */
    public Builder plain(boolean plain) {
      this.plain = plain;
      return this;
    }

    /** For leases and timestamps; the system's by default. */
    public Builder clock(Clock clock) {
      this.clock = clock;
      return this;
    }

    /** The configuration. */
    public EngineConfig build() {
      String backend =
          attentionBackend.orElseGet(
              () -> geometry.layout() == Layout.CPU_ATTENTION ? "CPU_ATTN" : "FLASH_ATTN");
      GeometrySpec inEffect = release.inEffect(geometry, backend);
      LaunchFlags flags =
          new LaunchFlags(
              modelPath.orElse(model),
              dtype.orElseGet(() -> geometry.model().element().vllmName()),
              backend,
              cacheDtype,
              hybridCaches.orElseGet(release::keepsHybridCaches),
              speculation,
              transferMode);
      long capacity = new CacheShape(inEffect).capacity();
      return new EngineConfig(
          role,
          model,
          adapters,
          inEffect,
          host,
          port,
          sideChannelPort,
          dataParallel,
          release,
          pairing,
          loadFailure,
          timing,
          lease.orElseGet(release::lease),
          heartbeat,
          transport,
          flags,
          plain ? maxModelLength : (int) Math.min(maxModelLength, capacity),
          maxRunning,
          maxWaiting,
          defaultChatTokens,
          // A state cannot be had for a part of a prefix (vLLM 0.32.0: off by default).
          prefixCaching && !new CacheShape(inEffect).hasStates(),
          plain,
          clock);
    }
  }
}
