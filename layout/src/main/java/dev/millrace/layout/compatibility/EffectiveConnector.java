package dev.millrace.layout.compatibility;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * What comes of a {@link ConnectorConfig}.
 *
 * <p>Of several connectors in one, the first NIXL connector is what other engines meet. Some
 * settings are those of all of them together: blocks hold all layers only if <em>every</em>
 * connector prefers that ({@code MultiConnector.prefer_cross_layer_blocks} is {@code all(…)} over
 * its children, and the base class of connectors says no), and the hybrid KV-cache manager stays on
 * only if every one supports it (vLLM v0.19 to v0.32).
 *
 * @param nixl the NIXL connector; empty if there is none
 * @param objections which connectors do not prefer cross-layer blocks; empty if all do
 * @param hybridCaches whether every connector supports the hybrid KV-cache manager; empty if that
 *     is not known of one of them
 */
public record EffectiveConnector(
    Optional<ConnectorConfig> nixl, List<Objection> objections, Optional<Boolean> hybridCaches) {

  private static final String PULL = "NixlConnector";
  private static final String PUSH = "NixlPushConnector";
  private static final Set<String> NIXL = Set.of(PULL, "NixlPullConnector", PUSH);

  /** {@code enable_cross_layers_blocks} of the NIXL connector. */
  public static final String CROSS_LAYER_FLAG = "enable_cross_layers_blocks";

  /** Connectors of vLLM v0.32 whose preference is known; all others have the base class's. */
  private static final Set<String> PREFER_CROSS_LAYER = Set.of("OffloadingConnector");

  private static final Map<String, Boolean> SUPPORT_HYBRID_CACHES =
      Map.of("OffloadingConnector", true, "LMCacheConnectorV1", false);

  /** vLLM v0.32, {@code kv_lease_duration}. */
  private static final Duration DEFAULT_LEASE = Duration.ofSeconds(30);

  /**
   * A connector that keeps blocks from holding all layers.
   *
   * @param connector its name
   * @param path where it stands, such as {@code connectors[0]}; empty for the only one
   * @param why what it says, or fails to say
   */
  public record Objection(String connector, String path, String why) {
    /** In a sentence. */
    @Override
    public String toString() {
      return connector + (path.isEmpty() ? "" : " (" + path + ")") + " " + why;
    }
  }

  public EffectiveConnector {
    objections = List.copyOf(objections);
  }

  /** Derives what is in effect. */
  public static EffectiveConnector of(ConnectorConfig config) {
    List<ConnectorConfig> leaves = new ArrayList<>();
    List<Objection> objections = new ArrayList<>();
    walk(config, "", leaves, objections);
    Optional<ConnectorConfig> nixl = leaves.stream().filter(EffectiveConnector::isNixl).findFirst();
    return new EffectiveConnector(nixl, objections, hybridCaches(leaves));
  }

  private static void walk(
      ConnectorConfig config,
      String path,
      List<ConnectorConfig> leaves,
      List<Objection> objections) {
    if (config.isComposite()) {
      for (int i = 0; i < config.children().size(); i++) {
        String own = "%s%s[%d]".formatted(path, ConnectorConfig.CHILDREN, i);
        ConnectorConfig child = config.children().get(i);
        walk(child, child.isComposite() ? own + "." : own, leaves, objections);
      }
    } else {
      leaves.add(config);
      objection(config, path).ifPresent(objections::add);
    }
  }

  private static Optional<Objection> objection(ConnectorConfig leaf, String path) {
    String name = leaf.connector();
    if (isNixl(leaf)) {
      return PythonValue.saysTrue(leaf.extra().get(CROSS_LAYER_FLAG))
          ? Optional.empty()
          : Optional.of(new Objection(name, path, "does not set " + CROSS_LAYER_FLAG));
    }
    return PREFER_CROSS_LAYER.contains(name)
        ? Optional.empty()
        : Optional.of(
            new Objection(name, path, "inherits the base class's prefer_cross_layer_blocks=False"));
  }

  private static Optional<Boolean> hybridCaches(List<ConnectorConfig> leaves) {
    boolean all = true;
    for (ConnectorConfig leaf : leaves) {
      Optional<Boolean> one =
          isNixl(leaf)
              ? Optional.of(true)
              : Optional.ofNullable(SUPPORT_HYBRID_CACHES.get(leaf.connector()));
      if (one.isEmpty()) {
        return one;
      }
      all &= one.get();
    }
    return Optional.of(all);
  }

  private static boolean isNixl(ConnectorConfig leaf) {
    return NIXL.contains(leaf.connector());
  }

  /** Whether every connector prefers blocks that hold all layers. */
  public boolean prefersCrossLayerBlocks() {
    return objections.isEmpty();
  }

  /** Which side moves the blocks; empty without a NIXL connector. */
  public Optional<TransferMode> transferMode() {
    return nixl.map(
        config -> config.connector().equals(PUSH) ? TransferMode.PUSH : TransferMode.PULL);
  }

  /**
   * Whether the engine insists on equal hashes when it reads. The value is taken as JSON has it, so
   * that the string {@code "false"} still insists.
   */
  public boolean enforcesHash() {
    return nixl.filter(config -> config.extra().containsKey("enforce_handshake_compat"))
        .map(config -> PythonValue.isTrue(config.extra().get("enforce_handshake_compat")))
        .orElse(true);
  }

  /** Whether the engine permutes HND blocks that it reads into its own NHD. */
  public boolean permutesLocalKv() {
    return nixl.map(ConnectorConfig::permutesLocalKv).orElse(false);
  }

  /** Device of the transfer buffer; empty: the platform's own. */
  public Optional<String> bufferDevice() {
    return nixl.flatMap(ConnectorConfig::bufferDevice);
  }

  /** How long blocks are kept that nobody reads, of connectors that have heartbeats. */
  public Duration lease() {
    return nixl.map(config -> config.extra().get("kv_lease_duration"))
        .filter(Number.class::isInstance)
        .map(value -> Duration.ofMillis(Math.round(((Number) value).doubleValue() * 1000)))
        .orElse(DEFAULT_LEASE);
  }
}
