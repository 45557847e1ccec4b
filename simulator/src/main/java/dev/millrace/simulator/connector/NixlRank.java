package dev.millrace.simulator.connector;

import dev.millrace.simulator.cache.Writers;
import dev.millrace.simulator.core.NativeTransfers;
import dev.millrace.transfer.BlockTransport;
import dev.millrace.transfer.Peer;
import dev.millrace.transfer.SharedSecret;
import dev.millrace.transfer.nixl.Nixl;
import dev.millrace.transfer.nixl.NixlAgentTransport;
import dev.millrace.transfer.nixl.NixlSettings;
import dev.millrace.transfer.nixl.NixlStatistics;
import dev.millrace.transfer.nixl.NixlTransport;
import dev.millrace.transfer.nixl.NixlTransportOptions;
import dev.millrace.transfer.nixl.NixlTransportOptions.EngineNotifications;
import dev.millrace.transfer.sidechannel.AgentMetadata;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/**
 * A rank's NIXL agent; the only class of the simulator that knows NIXL. Towards others it is what a
 * vLLM worker is: it hands out NIXL's own metadata, takes those of others from their handshakes,
 * and notifies without a signature.
 */
final class NixlRank implements RankTransport {
  private final NixlTransport transport;
  private final NixlAgentTransport engines;
  private final String version;

  private NixlRank(NixlTransport transport, String version) {
    this.transport = transport;
    this.engines = new NixlAgentTransport(transport);
    this.version = version;
  }

  /**
   * Starts an agent.
   *
   * @throws IllegalArgumentException if there is no NIXL, with what to do about it
   */
  static NixlRank open(String name) {
    return switch (Nixl.load(NixlSettings.DEFAULT)) {
      case Nixl.Present nixl -> {
        // Engines share no secret with anybody.
        SharedSecret nobodys = SharedSecret.random(new SecureRandom());
        yield new NixlRank(
            NixlTransport.open(
                nixl,
                NixlTransportOptions.named(name, nobodys).with(EngineNotifications.DELIVERED)),
            nixl.version());
      }
      case Nixl.Absent(String reason, String remedy) ->
          throw new IllegalArgumentException("transport nixl: %s; %s".formatted(reason, remedy));
    };
  }

  @Override
  public BlockTransport blocks() {
    return transport;
  }

  @Override
  public byte[] describe() {
    return transport.engineMetadata();
  }

  /** The other's NIXL is taken to be the same release, as vLLM pins one. */
  @Override
  public CompletableFuture<Peer> connect(AgentMetadata rank, Duration deadline) {
    return engines.connectEngine(rank, version, deadline);
  }

  @Override
  public Writers abandoned() {
    return transport::mayStillBeWritten;
  }

  @Override
  public Optional<NativeTransfers> nativeTransfers() {
    NixlStatistics counted = transport.statistics();
    return Optional.of(
        new NativeTransfers(
            "NIXL " + version,
            counted.requests(),
            counted.descriptors(),
            counted.bytes(),
            Duration.of(counted.transferMicros(), ChronoUnit.MICROS)));
  }
}
