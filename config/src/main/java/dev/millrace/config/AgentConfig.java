package dev.millrace.config;

import dev.millrace.layout.ModelShape;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What an operator says about a KV agent: {@code agent.yaml}.
 *
 * @param host address to listen on for calls
 * @param port {@code 0..65535}; 0 lets the system choose
 * @param tokenFile holds what callers must know
 * @param transport what moves the bytes
 * @param secretFile holds what transports share; always there with {@link Transport#TCP}
 * @param budgetBytes most memory that is registered at a time
 * @param slabBytes size of the pieces in which memory is registered
 * @param hold how long a copy is kept
 * @param longestRead bound on the deadline of a read
 * @param handshake deadline of a handshake or a notification
 * @param readsAtOnce reads under way; more are refused
 * @param models shapes by name
 * @param sideChannels whom the agent may ask
 * @param serving how decode engines reach it; empty: it stands between no engines
 */
public record AgentConfig(
    String host,
    int port,
    Path tokenFile,
    Transport transport,
    Optional<Path> secretFile,
    long budgetBytes,
    long slabBytes,
    Duration hold,
    Duration longestRead,
    Duration handshake,
    int readsAtOnce,
    Map<String, ModelShape> models,
    List<SideChannel> sideChannels,
    Optional<Serving> serving) {

  /** What moves the bytes. */
  public enum Transport implements Keyword {
    /** Millrace's own. */
    TCP,
    /** NIXL with UCX. */
    NIXL
  }

  /**
   * A side channel that the agent may ask.
   *
   * @param address as it stands in {@code remote_host} and {@code remote_port}
   * @param model name of the shape that its engine has
   * @param connectorVersion {@code NIXL_CONNECTOR_VERSION} of its engine
   * @param nixlVersion NIXL release of its engine; empty where the engine is no vLLM and describes
   *     its transport in Millrace's own terms
   */
  public record SideChannel(
      HostPort address, String model, int connectorVersion, Optional<String> nixlVersion) {}

  /**
   * How decode engines reach the agent.
   *
   * @param host address on which it answers handshakes
   * @param advertisedHost where decode engines reach that
   * @param firstPort of those on which it may answer
   * @param lastPort of them
   * @param readers addresses of the decode engines
   * @param engineBytes memory that is set aside for each kind of them
   */
  public record Serving(
      String host,
      String advertisedHost,
      int firstPort,
      int lastPort,
      List<AddressRange> readers,
      long engineBytes) {
    public Serving {
      readers = List.copyOf(readers);
    }
  }

  public AgentConfig {
    models = Map.copyOf(models);
    sideChannels = List.copyOf(sideChannels);
    if (transport == Transport.TCP && secretFile.isEmpty()) {
      throw new IllegalArgumentException("transport tcp needs a secret");
    }
    for (SideChannel channel : sideChannels) {
      if (!models.containsKey(channel.model())) {
        throw new IllegalArgumentException("no model " + channel.model());
      }
    }
  }

  /** The shape of the model behind a side channel. */
  public ModelShape shape(SideChannel channel) {
    ModelShape shape = models.get(channel.model());
    if (shape == null) {
      throw new IllegalArgumentException("no model " + channel.model());
    }
    return shape;
  }
}
