package dev.millrace.transfer.agent;

import dev.millrace.transfer.BlockTransport;
import dev.millrace.transfer.Peer;
import dev.millrace.transfer.sidechannel.AgentMetadata;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;

/**
 * What an agent asks of a transport beyond {@link BlockTransport}: to connect by what an engine's
 * handshake says, and to tell when memory of an abandoned read is safe again.
 */
public interface AgentTransport {
  /** Registers memory. The agent closes it. */
  BlockTransport blocks();

  /**
   * Connects to a rank.
   *
   * @param channel on the agent's list, where the rank said what it said
   */
  CompletableFuture<Peer> connect(
      AgentOptions.SideChannel channel, AgentMetadata rank, Duration deadline);

  /** Whether a read that has ended for its caller may still write there. */
  boolean mayStillBeWritten(MemorySegment memory);

  /**
   * A transport whose peers describe themselves in their handshake, and none of whose reads writes
   * after it has ended, such as the TCP one.
   */
  static AgentTransport of(BlockTransport transport) {
    return new AgentTransport() {
      @Override
      public BlockTransport blocks() {
        return transport;
      }

      @Override
      public CompletableFuture<Peer> connect(
          AgentOptions.SideChannel channel, AgentMetadata rank, Duration deadline) {
        return transport.connect(rank.agentMetadata().bytes(), deadline);
      }

      @Override
      public boolean mayStillBeWritten(MemorySegment memory) {
        return false;
      }
    };
  }
}
