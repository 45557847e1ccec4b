package dev.millrace.simulator;

import dev.millrace.simulator.cache.BlockPool;
import dev.millrace.simulator.cache.KvMemory;
import dev.millrace.simulator.core.Connector;
import dev.millrace.simulator.core.Counters;
import dev.millrace.simulator.core.NativeTransfers;
import dev.millrace.simulator.core.Scheduler;
import dev.millrace.simulator.core.TransferHistograms;
import dev.millrace.simulator.http.MetricsPage;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * One of the data-parallel ranks behind an engine's port: to other engines an engine of its own,
 * with its own id, cache, scheduler and side channel (vLLM 0.32.0, {@code EngineCore} and {@code
 * NixlConnector}). An engine that is not data parallel has one.
 */
final class EngineRank {
  private final int number;
  private final String engineId;
  private final Counters counters = new Counters();
  private final TransferHistograms transfers = new TransferHistograms();
  private final AtomicInteger openRequests = new AtomicInteger();
  private volatile @Nullable Parts parts;

  /** What an engine with a cache has beyond its front door. */
  record Parts(KvMemory memory, BlockPool pool, Connector connector, Scheduler scheduler) {}

  /** One of several; the ids of these end with their number. */
  EngineRank(int number, int ofRanks, String engineId) {
    this.number = number;
    this.engineId = ofRanks == 1 ? engineId : engineId + "_dp" + number;
  }

  int number() {
    return number;
  }

  String engineId() {
    return engineId;
  }

  Counters counters() {
    return counters;
  }

  TransferHistograms transfers() {
    return transfers;
  }

  AtomicInteger openRequests() {
    return openRequests;
  }

  /** Gives it what it works with. */
  void connected(Parts built) {
    parts = built;
  }

  /** Null before it is connected, and in plain mode. */
  @Nullable Parts parts() {
    return parts;
  }

  /** Port of its handshake listener; 0 in plain mode. */
  int sideChannelPort() {
    Parts present = parts;
    return present == null ? 0 : present.connector().sideChannelPort();
  }

  /** What a native library says that it has moved; empty if none is used. */
  Optional<NativeTransfers> nativeTransfers() {
    Parts present = parts;
    return present == null ? Optional.empty() : present.connector().nativeTransfers();
  }

  /** Its part of the metrics. */
  MetricsPage.Engine metrics() {
    Parts present = parts;
    int running = present == null ? openRequests.get() : present.scheduler().running();
    return new MetricsPage.Engine(number, stats(), running, counters, transfers, nativeTransfers());
  }

  /** What it holds and has done. */
  EngineStats stats() {
    Parts present = parts;
    return new EngineStats(
        openRequests.get(),
        present == null ? 0 : present.scheduler().waiting(),
        present == null ? 0 : present.connector().heldBlocks(),
        present == null ? 0 : present.pool().usedBlocks(),
        present == null ? 0 : present.pool().freeBlocks(),
        present == null ? 0 : present.connector().openReads(),
        (long) transfers.bytes().sum(),
        (long) transfers.descriptors().sum(),
        transfers.bytes().count(),
        counters.failedTransfers.get(),
        counters.computedTokens.get(),
        counters.loadedTokens.get(),
        counters.cachedTokens.get(),
        counters.expiredHandoffs.get(),
        counters.releasedHandoffs.get(),
        counters.heartbeats.get());
  }
}
