package dev.millrace.transfer.nixl;

import dev.millrace.transfer.BlockTransport;
import dev.millrace.transfer.Peer;
import dev.millrace.transfer.TransferException;
import dev.millrace.transfer.agent.AgentOptions;
import dev.millrace.transfer.agent.AgentTransport;
import dev.millrace.transfer.agent.ServingTransport;
import dev.millrace.transfer.sidechannel.AgentMetadata;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;

/**
 * NIXL for an agent. Side channels that declare a NIXL version are those of inference engines,
 * whose metadata are taken as NIXL made them; the others describe themselves in signed envelopes.
 */
public final class NixlAgentTransport implements AgentTransport {
  /**
   * By the benchmark of block reads: a scattered run costs about three microseconds, in which as
   * many bytes are permuted and some more.
   */
  private static final long SHORT_RUN_BYTES = 4096;

  private final NixlTransport transport;
  private final Supplier<NixlTransport> serving;

  /**
   * For an agent, which closes the transport.
   *
   * @param serving starts another one, for decode engines to read from
   */
  public NixlAgentTransport(NixlTransport transport, Supplier<NixlTransport> serving) {
    this.transport = transport;
    this.serving = serving;
  }

  /** The same for whoever is not read from so. */
  public NixlAgentTransport(NixlTransport transport) {
    this(
        transport,
        () -> {
          throw new IllegalStateException("this agent serves nobody");
        });
  }

  @Override
  public BlockTransport blocks() {
    return transport;
  }

  @Override
  public CompletableFuture<Peer> connect(
      AgentOptions.SideChannel channel, AgentMetadata rank, Duration deadline) {
    return channel
        .nixlVersion()
        .map(version -> connectEngine(rank, version, deadline))
        .orElseGet(() -> transport.connect(rank.agentMetadata().bytes(), deadline));
  }

  /**
   * Connects to a rank of an engine whose handshake has NIXL's own metadata, as vLLM's has.
   *
   * @param nixlVersion release of the engine's NIXL, which the handshake does not tell
   */
  public CompletableFuture<Peer> connectEngine(
      AgentMetadata rank, String nixlVersion, Duration deadline) {
    byte[] bytes = rank.agentMetadata().bytes();
    NixlMetadata metadata = new NixlMetadata(bytes);
    try {
      EngineDescription engine =
          new EngineDescription(
              metadata.agentName(),
              bytes,
              kind(rank, metadata),
              rank.deviceId(),
              regions(rank),
              nixlVersion);
      return transport.connectEngine(engine, deadline);
    } catch (TransferException e) {
      return CompletableFuture.failedFuture(e);
    } catch (IllegalArgumentException | ArithmeticException e) {
      return CompletableFuture.failedFuture(
          new TransferException(
              "the handshake of engine %s makes no sense: %s"
                  .formatted(rank.engineId(), e.getMessage()),
              e));
    }
  }

  @Override
  public boolean mayStillBeWritten(MemorySegment memory) {
    return transport.mayStillBeWritten(memory);
  }

  @Override
  public long shortRunBytes() {
    return SHORT_RUN_BYTES;
  }

  @Override
  public ServingTransport serve() {
    NixlTransport started = serving.get();
    return new ServingTransport() {
      @Override
      public BlockTransport blocks() {
        return started;
      }

      @Override
      public byte[] describe() {
        return started.engineMetadata();
      }
    };
  }

  /**
   * Before connector version 11 handshakes do not say it. NIXL's own metadata do; should they have
   * several, the cache is where the model runs.
   */
  private static MemoryKind kind(AgentMetadata rank, NixlMetadata metadata) {
    if (rank.regionMemTypes().isEmpty()) {
      return metadata.memory().equals(Set.of(MemoryKind.DRAM)) ? MemoryKind.DRAM : MemoryKind.VRAM;
    }
    Set<String> types = new HashSet<>(rank.regionMemTypes().get());
    if (types.size() != 1) {
      throw new IllegalArgumentException("memory of types " + types);
    }
    return MemoryKind.valueOf(types.iterator().next());
  }

  /**
   * What may be read of a rank. Regions with a stride interleave where one tensor is described as
   * several, such as the layers of a cross-layer block; together they are the tensor.
   */
  private static List<Region> regions(AgentMetadata rank) {
    List<Region> regions = new ArrayList<>();
    int count = rank.kvCachesBaseAddr().size();
    if (rank.blockStrides().size() != count
        || rank.blockLens().size() != count
        || rank.regionNumBlocks().map(List::size).orElse(count) != count) {
      throw new IllegalArgumentException(
          "addresses of %d regions, strides of %d, lengths of %d"
              .formatted(count, rank.blockStrides().size(), rank.blockLens().size()));
    }
    for (int i = 0; i < count; i++) {
      int region = i;
      long blocks =
          rank.regionNumBlocks().map(counts -> counts.get(region)).orElse(rank.numBlocks());
      regions.add(
          new Region(
              rank.kvCachesBaseAddr().get(i),
              Math.addExact(
                  Math.multiplyExact(blocks - 1, rank.blockStrides().get(i)),
                  rank.blockLens().get(i))));
    }
    return united(regions);
  }

  private static List<Region> united(List<Region> regions) {
    List<Region> sorted =
        regions.stream().sorted((a, b) -> Long.compareUnsigned(a.address(), b.address())).toList();
    List<Region> united = new ArrayList<>();
    for (Region each : sorted) {
      Region last = united.isEmpty() ? each : united.getLast();
      long distance = each.address() - last.address();
      if (united.isEmpty() || Long.compareUnsigned(distance, last.bytes()) >= 0) {
        united.add(each);
      } else {
        long bytes = Math.max(last.bytes(), Math.addExact(distance, each.bytes()));
        united.set(united.size() - 1, new Region(last.address(), bytes));
      }
    }
    return united;
  }
}
