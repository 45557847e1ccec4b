package dev.millrace.simulator.connector;

import dev.millrace.layout.Geometry;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.TransferPlanner;
import dev.millrace.simulator.VllmRelease;
import dev.millrace.simulator.cache.CacheShape;
import dev.millrace.transfer.Peer;
import dev.millrace.transfer.sidechannel.AgentMetadata;
import io.vertx.core.Context;
import io.vertx.core.Future;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A prefill engine that this engine has shaken hands with: its geometry, and connections from each
 * of our ranks to each of its ranks, opened when first needed. Belongs to the engine's event loop.
 */
final class RemoteEngine {
  /** vLLM gives a peer's answer 5 s (0.32.0, handshake {@code RCVTIMEO}). */
  private static final Duration CONNECT = Duration.ofSeconds(5);

  private final String engineId;
  private final VllmRelease release;
  private final TransferPlanner planner;
  private final CacheShape shape;
  private final List<AgentMetadata> ranks;
  private final RankTransports transports;
  private final Context context;
  private final Map<List<Integer>, Future<Peer>> peers = new HashMap<>();

  /**
   * An engine that has introduced itself.
   *
   * @param release that it plays
   * @param planner from its geometry to ours
   * @param ranks what each of its ranks said
   */
  RemoteEngine(
      String engineId,
      VllmRelease release,
      TransferPlanner planner,
      List<AgentMetadata> ranks,
      RankTransports transports,
      Context context) {
    this.engineId = engineId;
    this.release = release;
    this.planner = planner;
    this.shape = new CacheShape(specOf(planner.source()));
    this.ranks = List.copyOf(ranks);
    this.transports = transports;
    this.context = context;
  }

  String engineId() {
    return engineId;
  }

  private static GeometrySpec specOf(Geometry geometry) {
    return new GeometrySpec(
        geometry.model(),
        geometry.parallelism(),
        geometry.blockSize(),
        geometry.layout(),
        geometry.blocksPerId(),
        geometry.blocksPerId());
  }

  /** The words that it understands. */
  VllmRelease release() {
    return release;
  }

  TransferPlanner planner() {
    return planner;
  }

  Geometry geometry() {
    return planner.source();
  }

  /** How it deals out blocks. */
  CacheShape shape() {
    return shape;
  }

  int ranks() {
    return ranks.size();
  }

  /** The connection from our rank to its rank. */
  Future<Peer> peer(int ownRank, int remoteRank) {
    List<Integer> key = List.of(ownRank, remoteRank);
    Future<Peer> present = peers.get(key);
    if (present != null && !present.failed()) {
      return present;
    }
    Future<Peer> connecting =
        Future.fromCompletionStage(
            transports.of(ownRank).connect(ranks.get(remoteRank), CONNECT), context);
    peers.put(key, connecting);
    return connecting;
  }

  /** The connection is of no use any more; the next one who needs it makes another. */
  void lost(int ownRank, int remoteRank) {
    Future<Peer> connection = peers.remove(List.of(ownRank, remoteRank));
    if (connection != null) {
      close(connection);
    }
  }

  /** Closes all connections: the engine is gone. */
  void leave() {
    peers.values().forEach(this::close);
    peers.clear();
  }

  private void close(Future<Peer> connection) {
    // Closing waits for the threads that read.
    connection.onSuccess(peer ->
        context.executeBlocking(
            () -> {
              peer.close();
              return peer.name();
            },
            false));
  }
}
