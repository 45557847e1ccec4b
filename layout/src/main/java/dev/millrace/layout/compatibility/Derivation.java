package dev.millrace.layout.compatibility;

import dev.millrace.layout.CacheGroup;
import dev.millrace.layout.CompatibilityHash;
import dev.millrace.layout.ElementType;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Completes what is known of an engine.
 *
 * <p>Two strengths. What <em>follows</em> from a statement contradicts another one that says
 * otherwise: a disagreement. What is <em>usual</em>, vLLM's default or the ordinary case, only
 * fills a gap.
 */
final class Derivation {
  private static final String DEFAULT = "vLLM's default";

  /** {@code VLLM_NIXL_ABORT_REQUEST_TIMEOUT} of releases without heartbeats. */
  private static final Duration FIXED_LEASE = Duration.ofMinutes(8);

  private final Map<Fact<?>, Known<?>> known;
  private final List<Disagreement> disagreements;

  private Derivation(Map<Fact<?>, Known<?>> known, List<Disagreement> disagreements) {
    this.known = known;
    this.disagreements = disagreements;
  }

  /** Adds facts to {@code known}, and what contradicts itself to {@code disagreements}. */
  static void complete(Map<Fact<?>, Known<?>> known, List<Disagreement> disagreements) {
    Derivation derivation = new Derivation(known, disagreements);
    derivation.versions();
    derivation.model();
    derivation.parallelism();
    derivation.connector();
    derivation.elements();
    derivation.blocks();
    derivation.layout();
    derivation.caching();
    derivation.hash();
  }

  private void versions() {
    usually(Fact.KIND, EngineKind.VLLM, "no other kind is declared");
    get(Fact.VLLM_VERSION)
        .flatMap(ConnectorRelease::ofVllm)
        .ifPresent(version ->
            follows(
                Fact.CONNECTOR_VERSION, version, "vLLM " + get(Fact.VLLM_VERSION).orElseThrow()));
  }

  private void model() {
    get(Fact.SHAPE)
        .ifPresent(shape -> {
          String where = "the model's shape";
          follows(Fact.KV_HEADS, shape.kvHeads(), where);
          follows(Fact.HEAD_SIZE, shape.headSize(), where);
          follows(Fact.CACHE_ELEMENT, shape.element(), where);
          usually(Fact.ARCHITECTURE, architecture(shape), where);
        });
  }

  private static Architecture architecture(ModelShape shape) {
    if (shape.groups().stream().anyMatch(CacheGroup.StateSpace.class::isInstance)) {
      return Architecture.HYBRID;
    }
    return shape.isMla() ? Architecture.MLA : Architecture.DENSE;
  }

  private void parallelism() {
    usually(Fact.PIPELINE_PARALLEL, 1, DEFAULT);
    usually(Fact.DECODE_CONTEXT_PARALLEL, 1, DEFAULT);
    usually(Fact.PREFILL_CONTEXT_PARALLEL, 1, DEFAULT);
  }

  private void connector() {
    Optional<EffectiveConnector> effective = get(Fact.CONNECTOR).map(EffectiveConnector::of);
    String where = whereOf(Fact.CONNECTOR);
    effective.ifPresent(connector -> {
      connector.transferMode().ifPresent(mode -> follows(Fact.TRANSFER_MODE, mode, where));
      follows(Fact.ENFORCES_HASH, connector.enforcesHash(), where);
      follows(Fact.PERMUTES_LOCAL_KV, connector.permutesLocalKv(), where);
      connector
          .nixl()
          .flatMap(ConnectorConfig::engineId)
          .filter(id -> get(Fact.DATA_PARALLEL_RANK).isEmpty())
          .ifPresent(id -> usually(Fact.ENGINE_ID, id, where));
    });
    usually(Fact.TRANSFER_MODE, TransferMode.PULL, DEFAULT);
    usually(Fact.ENFORCES_HASH, true, DEFAULT);
    usually(Fact.PERMUTES_LOCAL_KV, false, DEFAULT);
    usually(Fact.HOST_BUFFER, hostBuffer(effective), "the buffer device and the attention backend");
    usually(Fact.LEASE, lease(effective), "the connector's configuration and version");
  }

  /** A buffer in host memory is one beside the cache, unless the cache is there itself. */
  private boolean hostBuffer(Optional<EffectiveConnector> effective) {
    boolean onHost = get(Fact.ATTENTION_BACKEND).orElse("").equals(AttentionBackends.CPU);
    return !onHost && effective.flatMap(EffectiveConnector::bufferDevice).orElse("").equals("cpu");
  }

  private Duration lease(Optional<EffectiveConnector> effective) {
    boolean fixed = release().map(release -> !release.hasLeases()).orElse(false);
    return fixed
        ? FIXED_LEASE
        : effective
            .orElseGet(() -> EffectiveConnector.of(ConnectorConfig.named("NixlConnector")))
            .lease();
  }

  private void elements() {
    usually(Fact.CACHE_DTYPE, "auto", DEFAULT);
    String cacheDtype = get(Fact.CACHE_DTYPE).orElseThrow();
    element(cacheDtype, get(Fact.DTYPE))
        .ifPresent(element ->
            follows(Fact.CACHE_ELEMENT, element, "cache dtype " + cacheDtype + " and dtype"));
    if (cacheDtype.equals("auto")) {
      get(Fact.CACHE_ELEMENT)
          .ifPresent(element ->
              usually(Fact.DTYPE, element.vllmName(), "the cache's elements, cache dtype auto"));
    }
    if (!KvScales.areNeeded(cacheDtype)) {
      usually(Fact.KV_SCALES, KvScales.NONE, "cache dtype " + cacheDtype);
    } else if (KvScales.areInline(cacheDtype)) {
      usually(Fact.KV_SCALES, KvScales.INLINE, "cache dtype " + cacheDtype);
    } else {
      usually(Fact.KV_SCALES, KvScales.STATIC, DEFAULT);
    }
  }

  /** The type of a cache's elements; empty where the name says nothing that can be relied on. */
  static Optional<ElementType> element(String cacheDtype, Optional<String> dtype) {
    return switch (cacheDtype) {
      case "auto" -> dtype.flatMap(Derivation::parsed);
      case "fp8", "fp8_e4m3" -> Optional.of(ElementType.FLOAT8_E4M3);
      case "fp8_e5m2" -> Optional.of(ElementType.FLOAT8_E5M2);
      case "bfloat16", "float16", "float32" -> parsed(cacheDtype);
      default -> Optional.empty();
    };
  }

  private static Optional<ElementType> parsed(String name) {
    try {
      return Optional.of(ElementType.parse(name));
    } catch (IllegalArgumentException unknown) {
      return Optional.empty();
    }
  }

  private void blocks() {
    Optional<Integer> block = get(Fact.BLOCK_SIZE);
    Optional<Integer> kernel = get(Fact.KERNEL_BLOCK_SIZE);
    Optional<Integer> perBlock = get(Fact.KERNEL_BLOCKS_PER_BLOCK);
    if (kernel.isEmpty() && block.isPresent()) {
      if (perBlock.isPresent()) {
        follows(Fact.KERNEL_BLOCK_SIZE, block.get() / perBlock.get(), "block size");
      } else {
        kernelBlock(block.get())
            .ifPresent(
                size -> usually(Fact.KERNEL_BLOCK_SIZE, size, "block size and attention backend"));
      }
      kernel = get(Fact.KERNEL_BLOCK_SIZE);
    }
    if (kernel.isPresent() && block.isPresent()) {
      if (block.get() % kernel.get() == 0) {
        follows(Fact.KERNEL_BLOCKS_PER_BLOCK, block.get() / kernel.get(), "both block sizes");
      } else {
        follows(Fact.BLOCK_SIZE, kernel.get(), "the kernel's blocks, which must divide it");
      }
    } else if (kernel.isPresent() && perBlock.isPresent()) {
      follows(Fact.BLOCK_SIZE, kernel.get() * perBlock.get(), "the kernel's blocks");
    }
  }

  /** Hybrids pad blocks so that attention and state pages match: nothing is usual for them. */
  private Optional<Integer> kernelBlock(int blockSize) {
    if (get(Fact.ARCHITECTURE).equals(Optional.of(Architecture.HYBRID))) {
      return Optional.empty();
    }
    return get(Fact.ATTENTION_BACKEND)
        .flatMap(backend -> AttentionBackends.kernelBlock(backend, blockSize))
        .or(() -> Optional.of(blockSize));
  }

  private void layout() {
    cpuAttention();
    Optional<Layout> layout = get(Fact.LAYOUT);
    crossLayerBlocks(layout);
    boolean all = get(Fact.CROSS_LAYER_BLOCKS).orElseThrow();
    if (layout.isEmpty()) {
      usualLayout(all)
          .ifPresent(
              usual -> usually(Fact.LAYOUT, usual, "attention backend, connector and its version"));
    } else if (all && headsAreOutermost(layout.get())) {
      // A declaration says how a layer is ordered; handshakes before version 9 say no more.
      refine(Layout.CROSS_LAYER, "all layers in one block");
    } else if (layout.get().isCrossLayer() != all) {
      follows(Fact.LAYOUT, all ? Layout.CROSS_LAYER : Layout.HND, whereOf(Fact.CROSS_LAYER_BLOCKS));
    }
  }

  /** It calls its own layout HND. */
  private void cpuAttention() {
    Optional<Layout> layout = get(Fact.LAYOUT);
    boolean onCpu =
        get(Fact.ATTENTION_BACKEND).equals(Optional.of(AttentionBackends.CPU))
            && !get(Fact.ARCHITECTURE).map(Architecture::isLatent).orElse(false);
    if (onCpu && layout.equals(Optional.of(Layout.HND))) {
      refine(Layout.CPU_ATTENTION, "as CPU attention keeps it");
    } else if (onCpu && layout.isPresent()) {
      follows(Fact.LAYOUT, Layout.CPU_ATTENTION, "attention backend " + AttentionBackends.CPU);
    } else if (layout.equals(Optional.of(Layout.CPU_ATTENTION))) {
      follows(Fact.ATTENTION_BACKEND, AttentionBackends.CPU, "layout " + layout.get().shortName());
    }
  }

  /** Says more of the layout than was said. */
  private void refine(Layout refined, String why) {
    String said =
        "%s of %s, ".formatted(get(Fact.LAYOUT).orElseThrow().shortName(), whereOf(Fact.LAYOUT));
    known.put(Fact.LAYOUT, new Known<>(refined, Origin.DERIVED, said + why));
  }

  private void crossLayerBlocks(Optional<Layout> layout) {
    boolean said = layout.map(Layout::isCrossLayer).orElse(false);
    boolean truthful =
        isProbed(Fact.LAYOUT) && release().map(ConnectorRelease::hasStrides).orElse(false);
    if (said || truthful) {
      follows(Fact.CROSS_LAYER_BLOCKS, said, whereOf(Fact.LAYOUT));
    }
    regionsHoldAllLayers()
        .ifPresent(all -> follows(Fact.CROSS_LAYER_BLOCKS, all, "the number of regions"));
    get(Fact.CONNECTOR)
        .map(EffectiveConnector::of)
        .ifPresent(connector ->
            usually(
                Fact.CROSS_LAYER_BLOCKS,
                mayHoldAllLayers() && connector.prefersCrossLayerBlocks(),
                whereOf(Fact.CONNECTOR)));
    usually(Fact.CROSS_LAYER_BLOCKS, false, DEFAULT);
  }

  private static boolean headsAreOutermost(Layout layout) {
    return switch (layout) {
      case HND, HND_SPLIT, HND_SEPARATE -> true;
      case NHD,
          NHD_SPLIT,
          NHD_SEPARATE,
          CROSS_LAYER,
          CROSS_LAYER_LHN,
          CROSS_LAYER_LNH,
          HEAD_MAJOR,
          CPU_ATTENTION ->
          false;
    };
  }

  /** What {@code enable_cross_layers_blocks} needs beside the connectors' consent. */
  private boolean mayHoldAllLayers() {
    Architecture architecture = get(Fact.ARCHITECTURE).orElse(Architecture.DENSE);
    int groups = get(Fact.SHAPE).map(shape -> shape.groups().size()).orElse(1);
    return architecture != Architecture.HYBRID
        && groups == 1
        && get(Fact.ATTENTION_BACKEND).map(AttentionBackends::canHoldAllLayers).orElse(true)
        && get(Fact.LAYOUT).map(Derivation::headsAreOutermost).orElse(true)
        && !get(Fact.CACHE_DTYPE).orElse("").contains("per_token_head");
  }

  /** One region for many layers is a cross-layer one; as many as there are layers are not. */
  private Optional<Boolean> regionsHoldAllLayers() {
    Optional<Integer> regions = get(Fact.BLOCK_LENS).map(List::size);
    int layers = get(Fact.HIDDEN_LAYERS).orElse(1);
    int stages = get(Fact.PIPELINE_PARALLEL).orElse(1);
    int groups = get(Fact.SHAPE).map(shape -> shape.groups().size()).orElse(1);
    if (regions.isEmpty() || groups > 1 || layers / stages < 2) {
      return Optional.empty();
    }
    if (regions.get() == 1) {
      return Optional.of(true);
    }
    return regions.get() >= layers / stages ? Optional.of(false) : Optional.empty();
  }

  private Optional<Layout> usualLayout(boolean allLayers) {
    Optional<ConnectorRelease> release = release();
    if (get(Fact.ARCHITECTURE).map(Architecture::isLatent).orElse(false)) {
      return Optional.of(Layout.HND);
    }
    if (release.isEmpty()) {
      return Optional.empty();
    }
    if (allLayers) {
      return release.get().packsKeysAndValues()
          ? Optional.of(Layout.CROSS_LAYER)
          : Optional.empty();
    }
    return get(Fact.ATTENTION_BACKEND)
        .flatMap(backend -> AttentionBackends.usualLayout(backend, release.get()));
  }

  private void caching() {
    boolean hybrid = get(Fact.ARCHITECTURE).equals(Optional.of(Architecture.HYBRID));
    if (!hybrid) {
      usually(Fact.PREFIX_CACHING, true, DEFAULT);
    }
    usually(Fact.SPECULATION, SpeculativeSetup.NONE, DEFAULT);
    hybridCaches()
        .ifPresent(
            on -> usually(Fact.HYBRID_CACHE_MANAGER, on, "vLLM's default with these connectors"));
  }

  /**
   * vLLM turns the manager off whenever there is a connector (v0.21 and before), or when one of
   * them does not support it.
   */
  private Optional<Boolean> hybridCaches() {
    return release()
        .flatMap(release ->
            release.asksConnectorsForHybridCaches()
                ? get(Fact.CONNECTOR)
                    .map(EffectiveConnector::of)
                    .map(EffectiveConnector::hybridCaches)
                    .orElse(Optional.of(true))
                : Optional.of(false));
  }

  /**
   * What is known must give the hash that the engine sends; where some of it is only usual, another
   * hash says no more than that something is not as usual.
   */
  private void hash() {
    Optional<String> sent = get(Fact.HASH);
    Optional<String> computed = HashFactors.of(this::get).hash().map(CompatibilityHash::hex);
    if (sent.isEmpty() || computed.isEmpty()) {
      return;
    }
    if (computed.equals(sent)) {
      confirm(Fact.HASH, "recomputed from its factors");
    } else if (isHashStated()) {
      follows(Fact.HASH, computed.get(), "recomputation from what is declared and probed");
    }
  }

  private boolean isHashStated() {
    return HashFactor.of(get(Fact.CONNECTOR_VERSION).orElse(ConnectorRelease.NEWEST)).stream()
        .map(HashFactor::fact)
        .allMatch(this::isStated);
  }

  private boolean isStated(Fact<?> fact) {
    Known<?> value = known.get(fact);
    return value != null
        && (value.origin() != Origin.DERIVED
            || fact == Fact.CONNECTOR_VERSION
            || fact == Fact.KV_HEADS
            || fact == Fact.HEAD_SIZE);
  }

  private Optional<ConnectorRelease> release() {
    return get(Fact.CONNECTOR_VERSION).map(ConnectorRelease::new);
  }

  private <T> Optional<T> get(Fact<T> fact) {
    return fact.in(known).map(Known::value);
  }

  private boolean isProbed(Fact<?> fact) {
    Known<?> value = known.get(fact);
    return value != null && value.origin() == Origin.PROBED;
  }

  private String whereOf(Fact<?> fact) {
    Known<?> value = known.get(fact);
    return value == null ? fact.toString() : value.where();
  }

  private <T> void follows(Fact<T> fact, T value, String why) {
    Known<T> derived = new Known<>(value, Origin.DERIVED, why);
    Known<?> other = known.putIfAbsent(fact, derived);
    if (other != null && !other.value().equals(value)) {
      disagreements.add(
          other.origin() == Origin.PROBED
              ? new Disagreement(fact, derived, other)
              : new Disagreement(fact, other, derived));
    }
  }

  /** Says that a fact was found in another way, too. */
  private <T> void confirm(Fact<T> fact, String how) {
    fact.in(known)
        .ifPresent(one ->
            known.put(fact, new Known<>(one.value(), one.origin(), one.where() + ", " + how)));
  }

  private <T> void usually(Fact<T> fact, T value, String why) {
    known.putIfAbsent(fact, new Known<>(value, Origin.DERIVED, why));
  }
}
