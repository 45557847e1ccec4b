package dev.millrace.simulator.core;

import dev.millrace.simulator.VllmRelease;
import java.util.List;

/**
 * Blocks that are pinned for a decode engine, as {@code kv_transfer_params} of an answer say it.
 *
 * @param release whose words it is said in
 * @param blockIds per KV-cache group
 * @param engineId this engine
 * @param requestId what readers name when they notify
 * @param host of the side channel
 * @param port of the side channel
 * @param tensorParallel ranks that hold the blocks
 * @param tokens tokens that the blocks hold
 * @param cachedTokens prompt tokens that were found in the prefix cache
 */
public record HandOff(
    VllmRelease release,
    List<List<Integer>> blockIds,
    String engineId,
    String requestId,
    String host,
    int port,
    int tensorParallel,
    int tokens,
    int cachedTokens) {
  public HandOff {
    blockIds = blockIds.stream().map(List::copyOf).toList();
  }
}
