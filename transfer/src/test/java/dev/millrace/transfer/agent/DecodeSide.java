package dev.millrace.transfer.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.BlockTable;
import dev.millrace.layout.CacheGroup;
import dev.millrace.layout.Geometry;
import dev.millrace.layout.Rank;
import dev.millrace.layout.Rounding;
import dev.millrace.layout.SourceRead;
import dev.millrace.layout.TokenSpan;
import dev.millrace.layout.TransferPlanner;
import dev.millrace.transfer.Peer;
import dev.millrace.transfer.ReadOutcome;
import dev.millrace.transfer.sidechannel.AgentMetadata;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
import dev.millrace.transfer.sidechannel.EngineGeometry;
import dev.millrace.transfer.sidechannel.Handshake;
import dev.millrace.transfer.sidechannel.HandshakeCodec;
import dev.millrace.transfer.sidechannel.RankId;
import dev.millrace.transfer.sidechannel.SideChannelClient;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/** What a decode engine does with the parameters of a hand-off: shake hands, read, notify. */
final class DecodeSide {
  private static final Duration LONG = Duration.ofSeconds(20);

  private final LocalEngine engine;

  DecodeSide(LocalEngine engine) {
    this.engine = engine;
  }

  /** The other side as its handshakes show it; its hash must be this engine's. */
  Map<RankId, AgentMetadata> shakeHands(HandOff told) {
    Map<RankId, AgentMetadata> ranks = new HashMap<>();
    try (SideChannelClient client = new SideChannelClient()) {
      for (int t = 0; t < told.engine().tensorParallel(); t++) {
        RankId rank = new RankId(0, t);
        Handshake handshake =
            client
                .ask(told.engine().host(), told.engine().port(), rank, ConnectorVersion.V14, LONG)
                .join();
        assertThat(handshake.compatibilityHash()).isEqualTo(engine.hash());
        AgentMetadata metadata =
            HandshakeCodec.decodeMetadata(handshake.metadata(), ConnectorVersion.V14);
        assertThat(metadata.engineId()).isEqualTo(told.engine().engineId());
        ranks.put(rank, metadata);
      }
    }
    return ranks;
  }

  Geometry geometry(HandOff told) {
    return EngineGeometry.of(engine.spec.model(), shakeHands(told), ConnectorVersion.V14);
  }

  /**
   * Reads everything into blocks from the first one on.
   *
   * @return the tables of this engine's blocks
   */
  List<BlockTable> read(HandOff told) {
    Map<RankId, AgentMetadata> ranks = shakeHands(told);
    Geometry source = EngineGeometry.of(engine.spec.model(), ranks, ConnectorVersion.V14);
    List<BlockTable> from = new ArrayList<>();
    List<BlockTable> to = new ArrayList<>();
    int used = 1;
    for (int group = 0; group < source.model().groups().size(); group++) {
      int[] ids = told.blockIds().get(group).stream().mapToInt(Integer::intValue).toArray();
      boolean window = source.model().groups().get(group) instanceof CacheGroup.SlidingWindow;
      from.add(
          window
              ? BlockTable.suffix(told.tokens(), source.tokensPerId(), ids)
              : BlockTable.of(ids));
      int first = from.getLast().firstBlock() * source.tokensPerId() / engine.spec.blockSize();
      int count =
          source.model().groups().get(group) instanceof CacheGroup.StateSpace
              ? ids.length
              : Math.ceilDiv(told.tokens(), engine.geometry().tokensPerId()) - first;
      int[] own = new int[count];
      for (int i = 0; i < count; i++) {
        own[i] = used++;
      }
      to.add(BlockTable.startingAt(first, own));
    }
    TransferPlanner planner = new TransferPlanner(source, engine.geometry());
    for (Rank rank : engine.geometry().ranks()) {
      var plan =
          planner.plan(rank, from, to, new TokenSpan(0, told.tokens()), Rounding.WHOLE_BLOCKS);
      for (SourceRead read : plan.reads()) {
        assertThat(peer(rank, ranks, read.source()).read(read, Optional.empty(), LONG).join())
            .isInstanceOf(ReadOutcome.Done.class);
      }
    }
    return to;
  }

  /** Says of every rank that it is done, as vLLM does where both sides have as many. */
  void notify(HandOff told) {
    Map<RankId, AgentMetadata> ranks = shakeHands(told);
    Geometry source = EngineGeometry.of(engine.spec.model(), ranks, ConnectorVersion.V14);
    for (Rank rank : engine.geometry().ranks()) {
      say(rank, source.rank(0, rank.tensor()), ranks, told.requestId() + ":1");
    }
  }

  /** Says something as one rank. */
  void say(int tensor, HandOff told, String message) {
    Map<RankId, AgentMetadata> ranks = shakeHands(told);
    Geometry source = EngineGeometry.of(engine.spec.model(), ranks, ConnectorVersion.V14);
    say(engine.geometry().rank(0, tensor), source.rank(0, 0), ranks, message);
  }

  private void say(Rank own, Rank other, Map<RankId, AgentMetadata> ranks, String message) {
    peer(own, ranks, other).notify(message.getBytes(StandardCharsets.UTF_8), LONG).join();
  }

  private Peer peer(Rank own, Map<RankId, AgentMetadata> ranks, Rank other) {
    AgentMetadata metadata = Objects.requireNonNull(ranks.get(new RankId(0, other.tensor())));
    return engine.transport(own.tensor()).connect(metadata.agentMetadata().bytes(), LONG).join();
  }
}
