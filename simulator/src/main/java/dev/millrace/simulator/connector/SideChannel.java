package dev.millrace.simulator.connector;

import dev.millrace.layout.AddressBook;
import dev.millrace.layout.Geometry;
import dev.millrace.layout.TransferPlanner;
import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.VllmRelease;
import dev.millrace.simulator.cache.KvMemory;
import dev.millrace.simulator.core.TransferParams.RemotePrefill;
import dev.millrace.transfer.sidechannel.AgentMetadata;
import dev.millrace.transfer.sidechannel.Blob;
import dev.millrace.transfer.sidechannel.EngineGeometry;
import dev.millrace.transfer.sidechannel.Handshake;
import dev.millrace.transfer.sidechannel.HandshakeCodec;
import dev.millrace.transfer.sidechannel.RankId;
import dev.millrace.transfer.sidechannel.SideChannelClient;
import dev.millrace.transfer.sidechannel.SideChannelServer;
import io.vertx.core.Context;
import io.vertx.core.Future;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Handshakes, asked and answered: an engine tells where its memory is and how it is laid out, rank
 * by rank. Questions are put in the form of the engine's own release.
 */
final class SideChannel {
  /** vLLM's {@code RCVTIMEO} for an answer (0.32.0). */
  private static final Duration TIMEOUT = Duration.ofSeconds(5);

  /** More ranks than any engine has; {@code tp_size} comes from the client's side. */
  private static final int MOST_RANKS = 1024;

  private final EngineConfig config;
  private final String engineId;
  private final AddressBook addresses;
  private final RankTransports transports;
  private final PairingRules rules;
  private final KvMemory memory;
  private final SideChannelServer server;
  private final SideChannelClient client = new SideChannelClient();

  /** Whether the answers are true. */
  enum Honesty {
    TRUE,
    /** The memory is said to begin one block later than it does. */
    SHIFTED
  }

  /** Starts to answer. Blocks. */
  SideChannel(
      EngineConfig config,
      int port,
      String engineId,
      KvMemory memory,
      RankTransports transports,
      PairingRules rules) {
    this.config = config;
    this.engineId = engineId;
    this.memory = memory;
    this.addresses = memory.addresses();
    this.transports = transports;
    this.rules = rules;
    this.server =
        SideChannelServer.start(
            config.host(),
            port,
            handshakes(Honesty.TRUE),
            config.release().connector(),
            config.pairing().isVllm()
                ? SideChannelServer.Temper.AS_VLLM
                : SideChannelServer.Temper.FORGIVING,
            System::nanoTime);
  }

  /** Port on which it answers. */
  int port() {
    return server.port();
  }

  /** Answers in this way from now on. */
  void answer(Honesty honesty) {
    server.replace(handshakes(honesty));
  }

  /** Asks an engine for all its ranks. */
  Future<RemoteEngine> meet(RemotePrefill remote, Context context) {
    if (remote.tensorParallel() < 1 || remote.tensorParallel() > MOST_RANKS) {
      return Future.failedFuture("tp_size=" + remote.tensorParallel() + " is no number of ranks");
    }
    List<Future<Handshake>> asked = new ArrayList<>();
    for (int rank = 0; rank < remote.tensorParallel(); rank++) {
      asked.add(
          Future.fromCompletionStage(
              client.ask(
                  remote.host(),
                  remote.port(),
                  new RankId(0, rank),
                  config.release().connector(),
                  TIMEOUT),
              context));
    }
    return Future.all(asked).map(all -> introduce(remote, all.list(), context));
  }

  /** Stops answering and asking. Blocks. */
  void close() {
    server.close();
    client.close();
  }

  private RemoteEngine introduce(
      RemotePrefill remote, List<Handshake> handshakes, Context context) {
    List<AgentMetadata> ranks = new ArrayList<>();
    Map<RankId, AgentMetadata> byRank = new HashMap<>();
    VllmRelease release = config.release();
    for (Handshake handshake : handshakes) {
      PairingRules.Said said = rules.read(handshake);
      if (!said.metadata().engineId().equals(remote.engineId())) {
        throw new RefusedEngine(
            "Remote NIXL agent engine ID mismatch. Expected %s, received %s."
                .formatted(remote.engineId(), said.metadata().engineId()));
      }
      release = said.release();
      byRank.put(new RankId(0, ranks.size()), said.metadata());
      ranks.add(said.metadata());
    }
    rules
        .refuse(describe(0, Honesty.TRUE), ranks)
        .ifPresent(reason -> {
          throw new RefusedEngine(reason);
        });
    Geometry geometry = EngineGeometry.of(config.geometry().model(), byRank, release.connector());
    return new RemoteEngine(
        remote.engineId(),
        release,
        new TransferPlanner(geometry, memory.geometry()),
        ranks,
        transports,
        context);
  }

  private Map<RankId, Handshake> handshakes(Honesty honesty) {
    Map<RankId, Handshake> handshakes = new HashMap<>();
    for (int rank = 0; rank < memory.ranks(); rank++) {
      handshakes.put(
          new RankId(0, rank),
          new Handshake(
              rules.ownHash(),
              HandshakeCodec.encode(describe(rank, honesty), config.release().connector())));
    }
    return handshakes;
  }

  private AgentMetadata describe(int rank, Honesty honesty) {
    RankId id = new RankId(0, rank);
    AddressBook told =
        switch (honesty) {
          case TRUE -> addresses;
          case SHIFTED ->
              (pipeline, tensor, allocation) ->
                  addresses.baseAddress(pipeline, tensor, allocation)
                      + config
                          .geometry()
                          .allocations(pipeline, tensor)
                          .get(allocation)
                          .blockBytes();
        };
    return EngineGeometry.describe(
        config.geometry(),
        id,
        told,
        engineId,
        config.flags().attentionBackend(),
        Blob.of(transports.of(rank).describe()),
        config.release().connector());
  }
}
