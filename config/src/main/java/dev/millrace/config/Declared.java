package dev.millrace.config;

import dev.millrace.layout.GeometrySpec;
import java.time.Duration;
import java.util.Optional;

/**
 * What an operator says of engines because nobody else does, or because nobody may be asked. What a
 * worker itself says otherwise is a contradiction that gets reported, not a preference.
 *
 * @param vllmVersion release, such as {@code 0.32.0}
 * @param connectorVersion {@code NIXL_CONNECTOR_VERSION}; known for the releases of vLLM that were
 *     looked into
 * @param nixlVersion release of NIXL, which no handshake carries
 * @param geometry tensor parallelism, block size and layout, and the model's shape
 * @param lease how long a prefill engine keeps blocks that nobody reads (vLLM: {@code
 *     kv_lease_duration})
 */
public record Declared(
    Optional<String> vllmVersion,
    Optional<Integer> connectorVersion,
    Optional<String> nixlVersion,
    Optional<GeometrySpec> geometry,
    Optional<Duration> lease) {
  private static final Declared NOTHING =
      new Declared(
          Optional.empty(), Optional.empty(), Optional.empty(), Optional.empty(), Optional.empty());

  /** Everything has to be found out. */
  public static Declared nothing() {
    return NOTHING;
  }

  /** This, and where it says nothing what is said of the whole pool. */
  public Declared or(Declared pool) {
    return new Declared(
        vllmVersion.or(pool::vllmVersion),
        connectorVersion.or(pool::connectorVersion),
        nixlVersion.or(pool::nixlVersion),
        geometry.or(pool::geometry),
        lease.or(pool::lease));
  }
}
