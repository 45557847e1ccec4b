package dev.millrace.transfer.agent;

import dev.millrace.layout.Geometry;
import dev.millrace.layout.Rank;
import dev.millrace.transfer.Peer;
import dev.millrace.transfer.TransferException;
import dev.millrace.transfer.sidechannel.AgentMetadata;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
import dev.millrace.transfer.sidechannel.RankId;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;

/**
 * An engine that has introduced itself: its geometry, and a connection to each rank from the moment
 * it is first needed.
 */
final class KnownEngine implements AutoCloseable {
  /**
   * Readers that a rank is told to wait for. The agent reads for everybody, once. From connector
   * version 8 on a rank waits for exactly as many; before, the number was the reader's
   * tensor-parallel size, of which more than the engine's own made it wait for several (vLLM {@code
   * nixl/pull_worker.py}). One is right for both.
   */
  private static final int READERS = 1;

  private final RemoteEngine engine;
  private final AgentOptions.SideChannel channel;
  private final Geometry geometry;
  private final Map<RankId, AgentMetadata> ranks;
  private final String compatibilityHash;
  private final AgentTransport transport;
  private final Map<RankId, CompletableFuture<Peer>> peers = new ConcurrentHashMap<>();

  KnownEngine(
      RemoteEngine engine,
      AgentOptions.SideChannel channel,
      Geometry geometry,
      Map<RankId, AgentMetadata> ranks,
      String compatibilityHash,
      AgentTransport transport) {
    this.engine = engine;
    this.channel = channel;
    this.geometry = geometry;
    this.ranks = Map.copyOf(ranks);
    this.compatibilityHash = compatibilityHash;
    this.transport = transport;
  }

  RemoteEngine engine() {
    return engine;
  }

  Geometry geometry() {
    return geometry;
  }

  AgentOptions.SideChannel channel() {
    return channel;
  }

  /** What its handshakes must be answered with, so that it takes the answer. */
  String compatibilityHash() {
    return compatibilityHash;
  }

  int ranks() {
    return ranks.size();
  }

  Set<RankId> rankIds() {
    return ranks.keySet();
  }

  /** What a rank said of itself. */
  AgentMetadata metadata(RankId rank) {
    AgentMetadata metadata = ranks.get(rank);
    if (metadata == null) {
      throw new IllegalArgumentException("no " + rank);
    }
    return metadata;
  }

  /** The connection to a rank. */
  CompletableFuture<Peer> peer(Rank rank, Duration deadline) {
    return peer(new RankId(rank.pipeline(), rank.tensor()), deadline);
  }

  private CompletableFuture<Peer> peer(RankId rank, Duration deadline) {
    CompletableFuture<Peer> present =
        peers.computeIfAbsent(rank, id -> transport.connect(channel, metadata(id), deadline));
    if (present.isCompletedExceptionally() && peers.remove(rank, present)) {
      return peer(rank, deadline);
    }
    return present;
  }

  /** Tells all ranks that the blocks have been read, or will not be. */
  void release(String requestId, Deadline deadline, Duration most) {
    tellAll(requestId + ":" + READERS, deadline, most);
  }

  /** Asks all ranks to keep the blocks for longer. */
  void extend(String requestId, Deadline deadline, Duration most) {
    if (channel.version().number() < ConnectorVersion.V4.number()) {
      throw new AgentRefusal(
          Reason.MISMATCH,
          "connector version %d knows no heartbeats; its leases cannot be extended"
              .formatted(channel.version().number()));
    }
    tellAll("HB:" + requestId, deadline, most);
  }

  private void tellAll(String message, Deadline deadline, Duration most) {
    byte[] payload = message.getBytes(StandardCharsets.UTF_8);
    List<CompletableFuture<Void>> told = new ArrayList<>();
    Duration left = deadline.left(most);
    for (RankId rank : ranks.keySet()) {
      told.add(peer(rank, left).thenCompose(peer -> peer.notify(payload, left)));
    }
    CompletableFuture<Void> all =
        CompletableFuture.allOf(told.toArray(CompletableFuture<?>[]::new));
    deadline.await(all, Reason.UNREACHABLE, "notifying engine " + engine.engineId());
  }

  @Override
  public void close() {
    peers
        .values()
        .forEach(each -> {
          var _ =
              each.whenComplete((peer, failure) -> {
                if (peer != null) {
                  close(peer);
                }
              });
        });
  }

  private static void close(Peer peer) {
    try {
      peer.close();
    } catch (TransferException e) {
      // It is gone already.
    }
  }
}
