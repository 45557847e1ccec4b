package dev.millrace.transfer.agent;

import dev.millrace.layout.Allocation;
import dev.millrace.layout.Geometry;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.transfer.BlockTransport;
import dev.millrace.transfer.Pattern;
import dev.millrace.transfer.SharedSecret;
import dev.millrace.transfer.sidechannel.Blob;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
import dev.millrace.transfer.sidechannel.EngineGeometry;
import dev.millrace.transfer.sidechannel.Handshake;
import dev.millrace.transfer.sidechannel.HandshakeCodec;
import dev.millrace.transfer.sidechannel.RankId;
import dev.millrace.transfer.sidechannel.SideChannelServer;
import dev.millrace.transfer.tcp.TcpTransport;
import dev.millrace.transfer.tcp.TcpTransportOptions;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Function;
import java.util.function.UnaryOperator;

/** What an agent sees of a prefill engine: memory, a transport per rank, a side channel. */
public final class LocalEngine implements AutoCloseable {
  public static final SharedSecret SECRET =
      SharedSecret.of("a secret of all tests".getBytes(StandardCharsets.UTF_8));

  public final String id;
  public final GeometrySpec spec;

  /** What the ranks were told, as {@code rank message}. */
  public final List<String> heard = new CopyOnWriteArrayList<>();

  private final Arena arena = Arena.ofShared();
  private final List<BlockTransport> transports = new ArrayList<>();
  private final List<MemorySegment> memories = new ArrayList<>();
  private final Geometry geometry;
  private final SideChannelServer sideChannel;

  public LocalEngine(String id, GeometrySpec spec) {
    this(id, spec, UnaryOperator.identity(), LocalEngine::tcp);
  }

  /**
   * An engine.
   *
   * @param described changes what the ranks' transports say of themselves
   */
  public LocalEngine(String id, GeometrySpec spec, UnaryOperator<byte[]> described) {
    this(id, spec, described, LocalEngine::tcp);
  }

  /**
   * An engine over another transport.
   *
   * @param start starts the transport of a rank, given its name
   */
  public LocalEngine(
      String id,
      GeometrySpec spec,
      UnaryOperator<byte[]> described,
      Function<String, BlockTransport> start) {
    this.id = id;
    this.spec = spec;
    List<long[]> bases = new ArrayList<>();
    int ranks = spec.parallelism().tensor();
    for (int t = 0; t < ranks; t++) {
      List<Allocation> allocations = spec.allocations(0, t);
      long bytes = allocations.stream().mapToLong(Allocation::bytes).sum();
      MemorySegment memory = Pattern.memory(arena, bytes, 1000L * t + 7);
      long[] base = new long[allocations.size()];
      long at = memory.address();
      for (int i = 0; i < base.length; i++) {
        base[i] = at;
        at += allocations.get(i).bytes();
      }
      bases.add(base);
      memories.add(memory);
      BlockTransport transport = start.apply(id + "-" + t);
      transports.add(transport);
      var _ = transport.register(memory);
      int rank = t;
      transport.onNotification(
          (peer, payload) -> heard.add(rank + " " + new String(payload, StandardCharsets.UTF_8)));
    }
    geometry = spec.geometry((pipeline, tensor, allocation) -> bases.get(tensor)[allocation]);
    Map<RankId, Handshake> handshakes = new HashMap<>();
    for (int t = 0; t < ranks; t++) {
      RankId rank = new RankId(0, t);
      handshakes.put(
          rank,
          new Handshake(
              hash(),
              HandshakeCodec.encode(
                  EngineGeometry.describe(
                      spec,
                      rank,
                      (pipeline, tensor, allocation) -> bases.get(tensor)[allocation],
                      id,
                      "FLASH_ATTN",
                      Blob.of(described.apply(transports.get(t).describe()))),
                  ConnectorVersion.V14)));
    }
    sideChannel = SideChannelServer.start("127.0.0.1", 0, handshakes);
  }

  private static BlockTransport tcp(String name) {
    return TcpTransport.start(TcpTransportOptions.loopback(name, SECRET));
  }

  /** Its own, as if each engine had another model path. */
  String hash() {
    return "hash of " + id;
  }

  BlockTransport transport(int rank) {
    return transports.get(rank);
  }

  public Geometry geometry() {
    return geometry;
  }

  public MemorySegment memory(int rank) {
    return memories.get(rank);
  }

  public int port() {
    return sideChannel.port();
  }

  /** Questions that the side channel did not answer, such as those for ranks it does not have. */
  public long refusedQuestions() {
    return sideChannel.refused();
  }

  public RemoteEngine remote() {
    return new RemoteEngine(id, "127.0.0.1", port(), spec.parallelism().tensor(), 1);
  }

  public HandOff handOff(String requestId, int tokens, List<Integer> blocks) {
    return new HandOff(remote(), requestId, List.of(blocks), tokens);
  }

  public AgentOptions.SideChannel listing() {
    return new AgentOptions.SideChannel(
        "127.0.0.1", port(), "tiny", spec.model(), ConnectorVersion.V14, Optional.empty());
  }

  @Override
  public void close() {
    sideChannel.close();
    transports.forEach(BlockTransport::close);
    arena.close();
  }
}
