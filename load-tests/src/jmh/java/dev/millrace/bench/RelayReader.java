package dev.millrace.bench;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.layout.BlockTable;
import dev.millrace.layout.Geometry;
import dev.millrace.layout.Rounding;
import dev.millrace.layout.RunCursor;
import dev.millrace.layout.SourceRead;
import dev.millrace.layout.TokenSpan;
import dev.millrace.layout.TransferPlanner;
import dev.millrace.transfer.Peer;
import dev.millrace.transfer.ReadOutcome;
import dev.millrace.transfer.agent.AgentOptions;
import dev.millrace.transfer.agent.AgentTransport;
import dev.millrace.transfer.rpc.AgentClient;
import dev.millrace.transfer.rpc.v1.BlockIds;
import dev.millrace.transfer.rpc.v1.Engine;
import dev.millrace.transfer.rpc.v1.HandOff;
import dev.millrace.transfer.rpc.v1.RelayReply;
import dev.millrace.transfer.rpc.v1.RelayRequest;
import dev.millrace.transfer.rpc.v1.TransferParameters;
import dev.millrace.transfer.sidechannel.AgentMetadata;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
import dev.millrace.transfer.sidechannel.EngineGeometry;
import dev.millrace.transfer.sidechannel.HandshakeCodec;
import dev.millrace.transfer.sidechannel.SideChannelClient;
import dev.millrace.transfer.sidechannel.SideChannelServer;
import io.vertx.core.Vertx;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * The process of a decode engine, which takes over the same prompt in turn from the prefill engine
 * itself and from an agent between them. Prints a line per hand-over: tokens, way, and
 * microseconds: of all, of the agent's part, of reading from the agent.
 *
 * <p>What is done once per pair of engines, handshakes and connections, is done before.
 */
final class RelayReader {
  private static final Duration PATIENCE = Duration.ofMinutes(2);
  private static final String ID = "decode";

  /** A run of so many is looked at: all would take longer than what is measured. */
  private static final int CHECKED_EVERY = 61;

  private final Cache own;
  private final Cache alike;
  private final MemorySegment memory;
  private final AgentTransport transport;
  private final AgentOptions.SideChannel listing;
  private final SideChannelClient handshakes = new SideChannelClient();

  private RelayReader(String kind, String prefill, String decode, int most, MemorySegment memory) {
    this.own = new Cache(Cache.spec(decode, most), memory.address());
    this.alike = new Cache(Cache.spec(prefill, most), memory.address());
    this.memory = memory;
    this.transport = Transports.between(kind, ID);
    this.listing =
        new AgentOptions.SideChannel(
            "127.0.0.1",
            1,
            "llama",
            own.spec().model(),
            ConnectorVersion.V14,
            Transports.nixlVersion(kind));
    var _ = transport.blocks().register(memory);
  }

  /**
   * Whom it reads from.
   *
   * @param start of its memory
   */
  private record Source(Geometry geometry, long start, Peer peer) {}

  /**
   * Transport, shapes of prefill and decode engine, tokens of the prefill engine's cache, rounds,
   * and the prompts' tokens.
   */
  public static void main(String[] arguments) throws Exception {
    String kind = arguments[0];
    int held = Integer.parseInt(arguments[3]);
    int rounds = Integer.parseInt(arguments[4]);
    List<Integer> prompts = Arrays.stream(arguments).skip(5).map(Integer::valueOf).toList();
    int most = prompts.stream().mapToInt(Integer::intValue).max().orElseThrow();
    Vertx vertx = Vertx.vertx();
    try (Arena arena = Arena.ofShared();
        Helper prefill =
            Helper.launch(PrefillSide.class, kind, arguments[1], Integer.toString(held))) {
      MemorySegment memory = Memory.blank(arena, most * Cache.TOKEN_BYTES);
      RelayReader reader = new RelayReader(kind, arguments[1], arguments[2], most, memory);
      SideChannelServer sideChannel = reader.own.listen(ID, reader.transport.serve().describe());
      String port = Integer.toString(sideChannel.port());
      try (Helper agent =
          Helper.launch(RelayAgent.class, kind, Integer.toString(most), prefill.said(), port)) {
        AgentClient client =
            new AgentClient(vertx, "127.0.0.1", Integer.parseInt(agent.said()), RelayAgent.TOKEN);
        Cache remote = new Cache(Cache.spec(arguments[1], held), 0);
        reader.measure(
            client, Integer.parseInt(prefill.said()), sideChannel.port(), remote, prompts, rounds);
      }
    } finally {
      // Its threads would keep a process whose measurement failed.
      vertx.close().await(10, TimeUnit.SECONDS);
    }
    System.exit(0);
  }

  private void measure(
      AgentClient client, int prefill, int decode, Cache remote, List<Integer> prompts, int rounds)
      throws Exception {
    Source direct = meet(prefill);
    Optional<Source> relayed = Optional.empty();
    // The first round warms up.
    for (int round = 0; round <= rounds; round++) {
      for (int tokens : prompts) {
        BlockTable from = remote.blocks(tokens, 3 + tokens);
        memory.fill((byte) 0xee);
        BlockTable alikeBlocks = alike.blocks(tokens, 4);
        long start = System.nanoTime();
        read(direct, alike, from, alikeBlocks, tokens, PrefillSide.ID + "-request");
        long took = System.nanoTime() - start;
        check(direct, alike, from, alikeBlocks, tokens);
        report(round, tokens, "engine", took, 0, 0);

        memory.fill((byte) 0xee);
        BlockTable to = own.blocks(tokens, 5);
        RelayRequest order = order(prefill, decode, from, tokens);
        start = System.nanoTime();
        RelayReply.Done done = relay(client, order);
        long brought = System.nanoTime();
        TransferParameters told = done.getParameters();
        if (relayed.isEmpty()) {
          relayed = Optional.of(meet(told.getRemotePort()));
          brought = System.nanoTime();
        }
        BlockTable copy = table(told.getRemoteBlockIds(0).getIdsList());
        read(relayed.get(), own, copy, to, tokens, told.getRemoteRequestId());
        long end = System.nanoTime();
        check(direct, own, from, to, tokens);
        report(round, tokens, done.getWay().name(), end - start, brought - start, end - brought);
      }
    }
  }

  private static void report(int round, int tokens, String way, long all, long agent, long own) {
    if (round > 0) {
      System.out.printf("%d;%s;%d;%d;%d%n", tokens, way, all / 1000, agent / 1000, own / 1000);
      System.out.flush();
    }
  }

  private Source meet(int port) {
    AgentMetadata metadata =
        HandshakeCodec.decodeMetadata(
            handshakes
                .ask("127.0.0.1", port, Cache.RANK, ConnectorVersion.V14, PATIENCE)
                .join()
                .metadata(),
            ConnectorVersion.V14);
    return new Source(
        EngineGeometry.of(own.spec().model(), Map.of(Cache.RANK, metadata), ConnectorVersion.V14),
        metadata.kvCachesBaseAddr().getFirst(),
        transport.connect(listing, metadata, PATIENCE).join());
  }

  private static List<SourceRead> reads(
      Geometry source, Cache target, BlockTable from, BlockTable to, int tokens) {
    Geometry own = target.geometry();
    return new TransferPlanner(source, own)
        .plan(
            own.rank(0, 0),
            List.of(from),
            List.of(to),
            new TokenSpan(0, tokens),
            Rounding.WHOLE_BLOCKS)
        .reads();
  }

  private static void read(
      Source source, Cache target, BlockTable from, BlockTable to, int tokens, String requestId) {
    for (SourceRead read : reads(source.geometry(), target, from, to, tokens)) {
      if (source.peer().read(read, Optional.empty(), PATIENCE).join()
          instanceof ReadOutcome.Failed failed) {
        throw new IllegalStateException(failed.reason());
      }
    }
    source.peer().notify((requestId + ":1").getBytes(UTF_8), PATIENCE).join();
  }

  private static RelayReply.Done relay(AgentClient client, RelayRequest order) throws Exception {
    RelayReply last =
        client.relay(order, progress -> {}, PATIENCE).outcome().await(180, TimeUnit.SECONDS);
    if (last.hasFailed()) {
      throw new IllegalStateException(last.getFailed().getMessage());
    }
    return last.getDone();
  }

  private static RelayRequest order(int prefill, int decode, BlockTable blocks, int tokens) {
    BlockIds.Builder ids = BlockIds.newBuilder();
    for (int i = 0; i < blocks.length(); i++) {
      ids.addIds(blocks.id(i));
    }
    return RelayRequest.newBuilder()
        .setHandOff(
            HandOff.newBuilder()
                .setEngine(engine(PrefillSide.ID, prefill))
                .setRequestId(PrefillSide.ID + "-request")
                .addGroups(ids)
                .setTokens(tokens))
        .setReader(engine(ID, decode))
        .build();
  }

  private static Engine engine(String id, int port) {
    return Engine.newBuilder()
        .setEngineId(id)
        .setSideChannelHost("127.0.0.1")
        .setSideChannelPort(port)
        .setTensorParallel(1)
        .setPipelineParallel(1)
        .build();
  }

  private static BlockTable table(List<Integer> ids) {
    return BlockTable.of(ids.stream().mapToInt(Integer::intValue).toArray());
  }

  /** Fails unless the prefill engine's words lie where a plan from its cache says. */
  private void check(Source prefill, Cache target, BlockTable from, BlockTable to, int tokens) {
    long start = prefill.start();
    int run = 0;
    for (SourceRead read : reads(prefill.geometry(), target, from, to, tokens)) {
      for (RunCursor each = read.cursor(); each.next(); run++) {
        if (run % CHECKED_EVERY != 0) {
          continue;
        }
        long there = each.sourceAddress() - start;
        long here = each.targetAddress() - memory.address();
        for (long at = 0; at < each.bytes(); at += Long.BYTES) {
          if (memory.get(ValueLayout.JAVA_LONG, here + at) != Memory.word(there + at)) {
            throw new IllegalStateException(
                "a wrong word at %d of %d tokens".formatted(here + at, tokens));
          }
        }
      }
    }
  }
}
