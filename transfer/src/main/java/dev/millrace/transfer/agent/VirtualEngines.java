package dev.millrace.transfer.agent;

import dev.millrace.layout.Geometry;
import dev.millrace.layout.Layout;
import dev.millrace.transfer.Registration;
import dev.millrace.transfer.TransferException;
import dev.millrace.transfer.sidechannel.AgentMetadata;
import dev.millrace.transfer.sidechannel.Blob;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
import dev.millrace.transfer.sidechannel.EngineGeometry;
import dev.millrace.transfer.sidechannel.Handshake;
import dev.millrace.transfer.sidechannel.HandshakeCodec;
import dev.millrace.transfer.sidechannel.RankId;
import dev.millrace.transfer.sidechannel.SideChannelServer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The virtual engines of an agent: one for each kind of decode engine that is relayed to, with
 * memory laid out as theirs, and one for each prefill engine that is bridged to a kind of decode
 * engine, with none.
 *
 * <p>Kinds are told apart by what a decode engine says of itself but for who it is, so that an
 * engine that is started anew, and others like it, are served by the same one. Those with memory
 * stay until the agent ends, since what engines have been told about can't be taken back from them;
 * of the bridges those that were not asked for longest go when ports run out: whoever has shaken
 * hands needs them no more.
 */
final class VirtualEngines implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(VirtualEngines.class);

  private final AgentOptions options;
  private final AgentTransport transport;
  private final Memory memory;
  private final Copies copies;
  private final Map<Kind, Serving> serving = new HashMap<>();
  private final Map<Crossing, Bridge> bridges = new LinkedHashMap<>(16, 0.75f, true);
  private @Nullable ServingTransport served;
  private volatile int count;

  /** What a decode engine must be answered with. */
  private record Kind(String hash, ConnectorVersion version, Slab.Kind cache) {
    static Kind of(KnownEngine decode) {
      return new Kind(
          decode.compatibilityHash(), decode.channel().version(), Slab.Kind.of(decode.geometry()));
    }
  }

  private record Crossing(RemoteEngine prefill, Kind decode) {}

  /** A virtual engine with memory. */
  record Serving(VirtualEngine engine, Slab slab, Registration registration) {}

  /**
   * A virtual engine that shows another one's memory.
   *
   * @param described how; empty: as that one does
   */
  record Bridge(VirtualEngine engine, Optional<Redescription> described) {}

  VirtualEngines(AgentOptions options, AgentTransport transport, Memory memory, Copies copies) {
    this.options = options;
    this.transport = transport;
    this.memory = memory;
    this.copies = copies;
  }

  /** How many there are. */
  int count() {
    return count;
  }

  private ServingOptions reach() {
    return options
        .serving()
        .orElseThrow(() ->
            new AgentRefusal(
                Reason.NOT_ALLOWED,
                "this agent stands between no engines; its configuration has no side-channel with listen and readers"));
  }

  /** Where a decode engine finds a virtual one. */
  RemoteEngine reached(VirtualEngine engine, Geometry geometry) {
    return new RemoteEngine(
        engine.engineId(),
        reach().advertisedHost(),
        engine.port(),
        geometry.parallelism().tensor(),
        geometry.parallelism().pipeline());
  }

  /** The one whose memory is laid out as this decode engine's. */
  synchronized Serving serving(KnownEngine decode) {
    Kind kind = Kind.of(decode);
    Serving present = serving.get(kind);
    if (present != null) {
      return present;
    }
    Slab slab = memory.setAside(kind.cache(), reach().engineBytes());
    Registration registration = servingTransport().blocks().register(slab.memory());
    String id = "millrace-" + UUID.randomUUID();
    Blob described = Blob.of(servingTransport().describe());
    Map<RankId, Handshake> answers = new HashMap<>();
    for (RankId rank : decode.rankIds()) {
      AgentMetadata answer = served(decode.metadata(rank), rank, id, slab, described);
      answers.put(rank, new Handshake(kind.hash(), HandshakeCodec.encode(answer, kind.version())));
    }
    Serving made = new Serving(listen(id, answers, kind.version()), slab, registration);
    serving.put(kind, made);
    publish();
    return made;
  }

  private ServingTransport servingTransport() {
    ServingTransport present = served;
    if (present == null) {
      present = transport.serve();
      present.blocks().onNotification(copies::told);
      served = present;
    }
    return present;
  }

  /** What a decode engine's rank says, but with the agent's memory. */
  private static AgentMetadata served(
      AgentMetadata own, RankId rank, String engineId, Slab slab, Blob described) {
    int regions = own.blockLens().size();
    List<Long> bases = new ArrayList<>();
    for (int region = 0; region < regions; region++) {
      bases.add(slab.addresses().baseAddress(rank.pipeline(), rank.tensor(), region));
    }
    int blocks = slab.ids() * slab.kind().blocksPerId();
    return new AgentMetadata(
        engineId,
        described,
        bases,
        0,
        blocks,
        own.blockLens(),
        own.blockLens(),
        own.kvCacheLayout(),
        own.blockSize(),
        own.ssmSizes(),
        own.attnBackendName(),
        own.physicalBlocksPerLogicalKvBlock(),
        Optional.of(Collections.nCopies(regions, blocks)),
        own.regionGroupIds(),
        own.regionNames(),
        Optional.of(Collections.nCopies(regions, "DRAM")),
        own.dcpSize(),
        own.pcpSize(),
        own.pleBlockLen(),
        own.regionMembers(),
        own.packedMemberLayouts());
  }

  /** The one that shows a prefill engine's memory to a kind of decode engines. */
  synchronized Bridge bridge(KnownEngine prefill, KnownEngine decode) {
    Kind kind = Kind.of(decode);
    Crossing crossing = new Crossing(prefill.engine(), kind);
    Bridge present = bridges.get(crossing);
    if (present != null) {
      return present;
    }
    // An engine that has been started anew at the same place has its own; the old one is no more.
    closeBridges(each ->
        each.prefill().sideChannel().equals(prefill.engine().sideChannel())
            && !each.prefill().engineId().equals(prefill.engine().engineId()));
    Optional<Redescription> described = describe(prefill, decode);
    Map<RankId, Handshake> answers = new HashMap<>();
    for (RankId rank : prefill.rankIds()) {
      AgentMetadata own = prefill.metadata(rank);
      AgentMetadata answer = described.map(anew -> anew(own, rank, anew, decode)).orElse(own);
      answers.put(rank, new Handshake(kind.hash(), HandshakeCodec.encode(answer, kind.version())));
    }
    Bridge made =
        new Bridge(listen(prefill.engine().engineId(), answers, kind.version()), described);
    bridges.put(crossing, made);
    publish();
    return made;
  }

  /** The decode engine's own terms, if the memory can be described in them. */
  private static Optional<Redescription> describe(KnownEngine prefill, KnownEngine decode) {
    Geometry own = prefill.geometry();
    Layout layout = decode.geometry().layout();
    int blockSize = decode.geometry().blockSize();
    int least = own.blockSize() > blockSize ? blockSize : own.blockSize();
    boolean asItIs = own.layout() == layout && own.blockSize() == least;
    return asItIs
        ? Optional.empty()
        : Redescription.of(own, layout, least)
            .or(() -> Redescription.of(own, layout, own.blockSize()));
  }

  private static AgentMetadata anew(
      AgentMetadata own, RankId rank, Redescription described, KnownEngine decode) {
    AgentMetadata said =
        EngineGeometry.describe(
            described.spec(),
            rank,
            described.addresses(),
            own.engineId(),
            own.attnBackendName(),
            own.agentMetadata(),
            decode.channel().version());
    AgentMetadata terms = decode.metadata(new RankId(0, 0));
    int regions = said.blockLens().size();
    boolean alike = terms.blockLens().size() == regions;
    return new AgentMetadata(
        said.engineId(),
        said.agentMetadata(),
        said.kvCachesBaseAddr(),
        own.deviceId(),
        said.numBlocks(),
        said.blockLens(),
        said.blockStrides(),
        said.kvCacheLayout(),
        said.blockSize(),
        own.ssmSizes(),
        own.attnBackendName(),
        own.physicalBlocksPerLogicalKvBlock(),
        said.regionNumBlocks(),
        alike ? terms.regionGroupIds() : said.regionGroupIds(),
        alike ? terms.regionNames() : said.regionNames(),
        own.regionMemTypes().map(types -> Collections.nCopies(regions, types.getFirst())),
        own.dcpSize(),
        own.pcpSize(),
        own.pleBlockLen(),
        AgentMetadata.NO_MEMBERS,
        AgentMetadata.NO_LAYOUTS);
  }

  private VirtualEngine listen(
      String engineId, Map<RankId, Handshake> answers, ConnectorVersion version) {
    ServingOptions reach = reach();
    while (true) {
      for (int port = reach.firstPort(); port <= reach.lastPort(); port++) {
        if (isTaken(port)) {
          continue;
        }
        try {
          return new VirtualEngine(
              engineId,
              SideChannelServer.start(
                  reach.host(),
                  port,
                  answers,
                  version,
                  SideChannelServer.Temper.FORGIVING,
                  reach.readers(),
                  System::nanoTime));
        } catch (TransferException e) {
          LOG.debug("port {} is taken by others", port, e);
        }
      }
      Iterator<Bridge> eldest = bridges.values().iterator();
      if (!eldest.hasNext()) {
        throw new AgentRefusal(
            Reason.OVERLOADED,
            "no port of %d to %d is free on %s for another virtual engine; see side-channel.ports in the agent's configuration"
                .formatted(reach.firstPort(), reach.lastPort(), reach.host()));
      }
      eldest.next().engine().close();
      eldest.remove();
      publish();
    }
  }

  private boolean isTaken(int port) {
    return port != 0
        && (serving.values().stream().anyMatch(each -> each.engine().port() == port)
            || bridges.values().stream().anyMatch(each -> each.engine().port() == port));
  }

  private void closeBridges(Predicate<Crossing> which) {
    Iterator<Map.Entry<Crossing, Bridge>> each = bridges.entrySet().iterator();
    while (each.hasNext()) {
      Map.Entry<Crossing, Bridge> bridge = each.next();
      if (which.test(bridge.getKey())) {
        bridge.getValue().engine().close();
        each.remove();
      }
    }
    publish();
  }

  private void publish() {
    count = serving.size() + bridges.size();
  }

  /** Stops answering, and serving. The memory may be freed afterwards. */
  @Override
  public synchronized void close() {
    closeBridges(all -> true);
    serving.values().forEach(each -> each.engine().close());
    ServingTransport present = served;
    if (present != null) {
      present.blocks().close();
    }
    for (Serving each : serving.values()) {
      try {
        each.registration().close();
      } catch (TransferException e) {
        LOG.warn("memory that is served stays in use: {}", e.getMessage());
      }
    }
    serving.clear();
    publish();
  }
}
