package dev.millrace.simulator.core;

import dev.millrace.simulator.cache.Sequence;
import dev.millrace.simulator.core.TransferParams.RemotePrefill;
import io.vertx.core.Future;
import java.util.List;
import java.util.Optional;

/** How the scheduler gets blocks from other engines and leaves them to others. */
public interface Connector {

  /** How a load ended. */
  sealed interface Load {
    /** The blocks hold the prompt. */
    record Done() implements Load {}

    /** They do not; the reason is for people. */
    record Failed(String reason) implements Load {}

    /** What ends a real engine happened. */
    record Fatal(String reason) implements Load {}
  }

  /** Takes note that the blocks will be wanted: they must stay pinned from now on. */
  void expect(RemotePrefill remote);

  /**
   * Loads tokens {@code [from, to)} of a sequence and lets the prefill engine free its blocks.
   *
   * @return never fails
   */
  Future<Load> load(RemotePrefill remote, Sequence sequence, int from, int to);

  /** Lets the prefill engine free blocks that nobody will load. */
  void release(RemotePrefill remote);

  /**
   * Pins blocks for a decode engine; the connector releases them to the pool.
   *
   * @param blocks per KV-cache group, null blocks among them
   * @return empty if they must be released at once
   */
  Optional<HandOff> hold(
      String requestId, List<List<Integer>> blocks, int tokens, int cachedTokens);

  /** The engine has been told to do other things wrong. May be called from any thread. */
  void misbehavioursChanged();

  /**
   * Frees what is pinned, ends reads and stops listening.
   *
   * @return fails if the engine's memory is still in use and must not be freed
   */
  Future<Void> close();

  /** What a native library says that it has moved. May be asked from any thread. */
  Optional<NativeTransfers> nativeTransfers();

  /** Port on which handshakes are answered; 0 if none are. */
  int sideChannelPort();

  /** Blocks pinned for others. May be asked from any thread. */
  int heldBlocks();

  /** Reads under way. May be asked from any thread. */
  int openReads();
}
