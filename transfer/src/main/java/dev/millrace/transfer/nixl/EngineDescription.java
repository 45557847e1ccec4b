package dev.millrace.transfer.nixl;

import java.util.List;

/**
 * An inference engine's NIXL agent, as the engine's own handshake describes it.
 *
 * <p>Nothing in it is signed, and NIXL crashes on altered metadata. It may only come from a side
 * channel that the operator has listed in the configuration, on a network that strangers cannot
 * write to; never from a request.
 */
public final class EngineDescription {
  private final String agentName;
  private final byte[] metadata;
  private final MemoryKind kind;
  private final long device;
  private final List<Region> regions;
  private final String nixlVersion;

  /**
   * Describes an engine's agent.
   *
   * @param agentName the agent's name that the engine's handshake gives
   * @param metadata the agent's metadata, as NIXL made it
   * @param kind where the engine's cache is
   * @param device the GPU's ordinal at the engine, 0 for host memory
   * @param regions the engine's cache: what may be read
   * @param nixlVersion the engine's NIXL release, which its handshake does not tell: it is declared
   *     in the configuration
   */
  public EngineDescription(
      String agentName,
      byte[] metadata,
      MemoryKind kind,
      long device,
      List<Region> regions,
      String nixlVersion) {
    this.agentName = agentName;
    this.metadata = metadata.clone();
    this.kind = kind;
    this.device = device;
    this.regions = List.copyOf(regions);
    this.nixlVersion = nixlVersion;
  }

  String agentName() {
    return agentName;
  }

  byte[] metadata() {
    return metadata;
  }

  MemoryKind kind() {
    return kind;
  }

  long device() {
    return device;
  }

  List<Region> regions() {
    return regions;
  }

  String nixlVersion() {
    return nixlVersion;
  }
}
