package dev.millrace.transfer.agent;

import dev.millrace.layout.ModelShape;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * What an agent may do and with what.
 *
 * @param sideChannels whom it may ask for handshakes; nobody else is ever contacted
 * @param budgetBytes most memory that is registered at a time
 * @param slabBytes size of the pieces in which memory is registered
 * @param hold how long a copy is kept for whoever it was made for
 * @param longestRead bound on the deadline of a read
 * @param shortCall deadline of a handshake or a notification
 * @param readsAtOnce reads and relays under way; more are refused
 * @param serving how decode engines reach it; empty: it neither bridges nor relays
 */
public record AgentOptions(
    List<SideChannel> sideChannels,
    long budgetBytes,
    long slabBytes,
    Duration hold,
    Duration longestRead,
    Duration shortCall,
    int readsAtOnce,
    Optional<ServingOptions> serving) {

  /**
   * A side channel that may be contacted.
   *
   * @param host as it stands in {@code remote_host}
   * @param model name of the model's shape
   * @param shape what the handshake does not say
   * @param version of vLLM's connector, which the handshake does not say either
   * @param nixlVersion of a vLLM engine's NIXL, nor does it say that; empty where the engine
   *     describes its transport in Millrace's own terms
   */
  public record SideChannel(
      String host,
      int port,
      String model,
      ModelShape shape,
      ConnectorVersion version,
      Optional<String> nixlVersion) {}

  /** An agent that only reads. */
  public AgentOptions(
      List<SideChannel> sideChannels,
      long budgetBytes,
      long slabBytes,
      Duration hold,
      Duration longestRead,
      Duration shortCall,
      int readsAtOnce) {
    this(
        sideChannels,
        budgetBytes,
        slabBytes,
        hold,
        longestRead,
        shortCall,
        readsAtOnce,
        Optional.empty());
  }

  /** The same for an agent that stands between engines. */
  public AgentOptions with(ServingOptions between) {
    return new AgentOptions(
        sideChannels,
        budgetBytes,
        slabBytes,
        hold,
        longestRead,
        shortCall,
        readsAtOnce,
        Optional.of(between));
  }

  public AgentOptions {
    sideChannels = List.copyOf(sideChannels);
    if (budgetBytes < 1 || slabBytes < 1 || readsAtOnce < 1) {
      throw new IllegalArgumentException(
          "agent: budgetBytes=%d, slabBytes=%d, readsAtOnce=%d (each >= 1)"
              .formatted(budgetBytes, slabBytes, readsAtOnce));
    }
    if (hold.toMillis() < 1 || longestRead.toMillis() < 1 || shortCall.toMillis() < 1) {
      throw new IllegalArgumentException(
          "agent: hold=%s, longestRead=%s, shortCall=%s (each >= 1 ms)"
              .formatted(hold, longestRead, shortCall));
    }
  }
}
