package dev.millrace.simulator.connector;

import dev.millrace.simulator.cache.Writers;
import dev.millrace.simulator.core.NativeTransfers;
import dev.millrace.transfer.BlockTransport;
import dev.millrace.transfer.Peer;
import dev.millrace.transfer.sidechannel.AgentMetadata;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/** What an engine asks of a rank's transport beyond {@link BlockTransport}. */
interface RankTransport {
  /** Registers memory, reads and notifies. */
  BlockTransport blocks();

  /** What the rank's handshake says of it, {@code agent_metadata}, once memory is registered. */
  byte[] describe();

  /** Connects to a rank by what its handshake says. */
  CompletableFuture<Peer> connect(AgentMetadata rank, Duration deadline);

  /** Reads that have ended for whoever started them, and may still write. */
  Writers abandoned();

  /** What a native library says that it has moved; empty where there is none. */
  Optional<NativeTransfers> nativeTransfers();
}
