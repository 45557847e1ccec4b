package dev.millrace.transfer.agent;

import dev.millrace.transfer.BlockTransport;
import dev.millrace.transfer.Peer;
import dev.millrace.transfer.sidechannel.AgentMetadata;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;

/**
 * What an agent asks of a transport beyond {@link BlockTransport}: to connect by what an engine's
 * handshake says, to tell when memory of an abandoned read is safe again, and to be read from.
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
   * Runs that are shorter than this are slower to read one by one than to read as parts of whole
   * blocks and to permute on arrival.
   */
  long shortRunBytes();

  /** Starts a transport that decode engines read from. Called once, when it is first needed. */
  ServingTransport serve();

  /** The same as {@link #of(BlockTransport, Supplier)} for an agent that nobody reads from. */
  static AgentTransport of(BlockTransport transport) {
    return of(
        transport,
        () -> {
          throw new IllegalStateException("this agent serves nobody");
        });
  }

  /**
   * A transport whose peers describe themselves in their handshake, and none of whose reads writes
   * after it has ended, such as the TCP one.
   *
   * @param serving starts another one, for decode engines
   */
  static AgentTransport of(BlockTransport transport, Supplier<? extends BlockTransport> serving) {
    return new AgentTransport() {
      // Of the TCP transport, by the benchmark of block reads: a scattered run costs it about a
      // microsecond, in which two kilobytes are permuted.
      private static final long SHORT_RUN_BYTES = 2048;

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

      @Override
      public long shortRunBytes() {
        return SHORT_RUN_BYTES;
      }

      @Override
      public ServingTransport serve() {
        return ServingTransport.of(serving.get());
      }
    };
  }
}
