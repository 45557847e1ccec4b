package dev.millrace.layout.compatibility;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * An engine's {@code --kv-transfer-config}: what was written, not what comes of it, which {@link
 * EffectiveConnector} says. Keys and their meaning as in vLLM v0.32 ({@code
 * vllm/config/kv_transfer.py}).
 *
 * @param connector {@code kv_connector}, a class name
 * @param role {@code kv_role}; engines do not hold to it
 * @param modulePath {@code kv_connector_module_path}, of a connector that is not vLLM's
 * @param engineId {@code engine_id}; without it each start has a new one
 * @param bufferDevice {@code kv_buffer_device}; without it the platform's own
 * @param loadFailurePolicy {@code kv_load_failure_policy}: {@code fail} or {@code recompute}
 * @param permutesLocalKv {@code enable_permute_local_kv}
 * @param extra {@code kv_connector_extra_config}, values as JSON has them
 * @param children connectors inside this one, in order
 */
public record ConnectorConfig(
    String connector,
    Optional<String> role,
    Optional<String> modulePath,
    Optional<String> engineId,
    Optional<String> bufferDevice,
    Optional<String> loadFailurePolicy,
    boolean permutesLocalKv,
    Map<String, @Nullable Object> extra,
    List<ConnectorConfig> children) {

  /** Where a connector of several keeps them. */
  static final String CHILDREN = "connectors";

  /** Connectors that do nothing but pass on to others; {@code PdConnector} is Dynamo's. */
  private static final Set<String> COMPOSITES = Set.of("MultiConnector", "PdConnector");

  public ConnectorConfig {
    extra = Collections.unmodifiableMap(new LinkedHashMap<>(extra));
    children = List.copyOf(children);
  }

  /**
   * Reads the JSON object, given as maps, lists, strings, numbers, booleans and nulls. Keys that do
   * not bear on compatibility are passed over.
   *
   * @throws IllegalArgumentException with every value that cannot be, each with its path
   */
  public static ConnectorConfig of(Map<String, ? extends @Nullable Object> json) {
    return ConnectorConfigReader.read(json);
  }

  /** A connector of this name with nothing else said. */
  public static ConnectorConfig named(String connector) {
    return of(Map.of("kv_connector", connector));
  }

  /** The same with this key of {@code kv_connector_extra_config}. */
  public ConnectorConfig withExtra(String key, @Nullable Object value) {
    Map<String, @Nullable Object> more = new LinkedHashMap<>(extra);
    more.put(key, value);
    return new ConnectorConfig(
        connector,
        role,
        modulePath,
        engineId,
        bufferDevice,
        loadFailurePolicy,
        permutesLocalKv,
        more,
        children);
  }

  /** Whether this connector stands for several others. */
  public boolean isComposite() {
    return COMPOSITES.contains(connector) || extra.containsKey(CHILDREN);
  }

  /** As it is said: the name, and for several connectors theirs. */
  @Override
  public String toString() {
    return children.isEmpty() ? connector : connector + children;
  }
}
