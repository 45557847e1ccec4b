package dev.millrace.simulator.connector;

import dev.millrace.simulator.cache.Writers;
import dev.millrace.simulator.core.NativeTransfers;
import dev.millrace.transfer.BlockTransport;
import dev.millrace.transfer.Peer;
import dev.millrace.transfer.SharedSecret;
import dev.millrace.transfer.sidechannel.AgentMetadata;
import dev.millrace.transfer.tcp.TcpTransport;
import dev.millrace.transfer.tcp.TcpTransportOptions;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/** A rank's TCP transport. It describes itself, and writes nothing after a read has ended. */
record TcpRank(BlockTransport blocks) implements RankTransport {

  /** Starts to listen. */
  static TcpRank open(String name, String host, SharedSecret secret) {
    return new TcpRank(TcpTransport.start(TcpTransportOptions.on(name, host, 0, secret)));
  }

  @Override
  public byte[] describe() {
    return blocks.describe();
  }

  @Override
  public CompletableFuture<Peer> connect(AgentMetadata rank, Duration deadline) {
    return blocks.connect(rank.agentMetadata().bytes(), deadline);
  }

  @Override
  public Writers abandoned() {
    return Writers.NONE;
  }

  @Override
  public Optional<NativeTransfers> nativeTransfers() {
    return Optional.empty();
  }
}
