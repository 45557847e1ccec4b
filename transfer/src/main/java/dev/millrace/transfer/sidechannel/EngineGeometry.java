package dev.millrace.transfer.sidechannel;

import dev.millrace.layout.AddressBook;
import dev.millrace.layout.Allocation;
import dev.millrace.layout.CacheGroup;
import dev.millrace.layout.Geometry;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.IncompatibleGeometry;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Parallelism;
import dev.millrace.layout.StateShape;
import dev.millrace.layout.compatibility.HandshakeLayout;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * Between what an engine's ranks say in handshakes and {@link Geometry}.
 *
 * <p>A handshake says where the tensors are and how large their blocks, but neither the number of
 * KV heads nor the head size nor the element type: those come with the {@link ModelShape}, and the
 * block lengths prove whether they fit.
 */
public final class EngineGeometry {
  /** The backend that keeps K transposed, under the layout name of HND. */
  public static final String CPU_BACKEND = "CPU_ATTN";

  private EngineGeometry() {}

  /** The geometry of an engine whose handshakes name layouts by their axes. */
  public static Geometry of(ModelShape model, Map<RankId, AgentMetadata> ranks) {
    return of(model, ranks, ConnectorVersion.V14);
  }

  /**
   * The geometry of an engine.
   *
   * @param version of its connector, which decides what a layout's name means
   * @param ranks what each rank said; all ranks of the engine
   * @throws IncompatibleGeometry if ranks are missing, contradict each other or the model's shape,
   *     or say something that cannot be expressed yet; the message says which
   */
  public static Geometry of(
      ModelShape model, Map<RankId, AgentMetadata> ranks, ConnectorVersion version) {
    Parallelism parallelism = parallelism(ranks);
    AgentMetadata first = rank(ranks, 0, 0);
    GeometrySpec spec = spec(model, parallelism, first, version);
    List<RankId> grid = grid(parallelism);
    grid.forEach(id -> checkSameEngine(id, rank(ranks, id.pipeline(), id.tensor()), first));
    grid.forEach(id -> checkShape(spec, id, rank(ranks, id.pipeline(), id.tensor())));
    return spec.geometry(new SaidAddresses(ranks));
  }

  /** Where the ranks say that their regions are. */
  private record SaidAddresses(Map<RankId, AgentMetadata> ranks) implements AddressBook {
    @Override
    public long baseAddress(int pipeline, int tensor, int allocation) {
      return rank(ranks, pipeline, tensor).kvCachesBaseAddr().get(allocation);
    }

    @Override
    public long blockStrideBytes(int pipeline, int tensor, int allocation, long blockBytes) {
      return rank(ranks, pipeline, tensor).blockStrides().get(allocation);
    }
  }

  private static GeometrySpec spec(
      ModelShape model, Parallelism parallelism, AgentMetadata rank, ConnectorVersion version) {
    int perId = rank.physicalBlocksPerLogicalKvBlock();
    if (perId < 1 || rank.numBlocks() % perId != 0) {
      throw new IncompatibleGeometry(
          "num_blocks=%d is no multiple of physical_blocks_per_logical_kv_block=%d"
              .formatted(rank.numBlocks(), perId));
    }
    return new GeometrySpec(
        model,
        parallelism,
        rank.blockSize(),
        layout(model, rank, version),
        rank.numBlocks(),
        perId);
  }

  /**
   * Checks one rank's handshake alone, before the other ranks are asked.
   *
   * @param parallelism the ranks that the engine is said to have
   * @throws IncompatibleGeometry if this rank cannot be one of them, or is none that can be
   *     expressed
   */
  public static void requireFits(
      ModelShape model,
      Parallelism parallelism,
      RankId id,
      AgentMetadata rank,
      ConnectorVersion version) {
    checkShape(spec(model, parallelism, rank, version), id, rank);
  }

  /** What a rank of an engine with this geometry and connector version 14 says. */
  public static AgentMetadata describe(
      GeometrySpec spec,
      RankId rank,
      AddressBook addresses,
      String engineId,
      String backend,
      Blob agentMetadata) {
    return describe(spec, rank, addresses, engineId, backend, agentMetadata, ConnectorVersion.V14);
  }

  /**
   * What a rank of an engine with this geometry says.
   *
   * @param backend attention backend; the layout {@link Layout#CPU_ATTENTION} is {@link
   *     #CPU_BACKEND} whatever is given
   * @param agentMetadata what the transport needs to connect
   */
  public static AgentMetadata describe(
      GeometrySpec spec,
      RankId rank,
      AddressBook addresses,
      String engineId,
      String backend,
      Blob agentMetadata,
      ConnectorVersion version) {
    List<Allocation> allocations = spec.allocations(rank.pipeline(), rank.tensor());
    int regions = allocations.size();
    List<Long> base =
        IntStream.range(0, regions)
            .mapToObj(i -> addresses.baseAddress(rank.pipeline(), rank.tensor(), i))
            .toList();
    List<Long> lens = allocations.stream().map(Allocation::blockBytes).toList();
    List<Long> strides =
        IntStream.range(0, regions)
            .mapToObj(
                i -> addresses.blockStrideBytes(rank.pipeline(), rank.tensor(), i, lens.get(i)))
            .toList();
    int group = spec.model().groups().size() == 1 ? 0 : -1;
    return new AgentMetadata(
        engineId,
        agentMetadata,
        base,
        0,
        spec.blocks(),
        lens,
        strides,
        version.layoutName(spec.layout()),
        spec.blockSize(),
        ssmSizes(spec),
        spec.layout() == Layout.CPU_ATTENTION ? CPU_BACKEND : backend,
        spec.blocksPerId(),
        Optional.of(Collections.nCopies(regions, spec.blocks())),
        Optional.of(Collections.nCopies(regions, group)),
        Optional.of(allocations.stream().map(Allocation::name).toList()),
        Optional.of(Collections.nCopies(regions, "DRAM")),
        spec.parallelism().decodeContext(),
        1,
        Optional.empty(),
        AgentMetadata.NO_MEMBERS,
        AgentMetadata.NO_LAYOUTS);
  }

  /** Sizes of a state-space layer's state in a rank: those of the first group that has any. */
  private static AgentMetadata.SsmSizes ssmSizes(GeometrySpec spec) {
    int ranks = spec.parallelism().tensor();
    for (CacheGroup group : spec.model().groups()) {
      if (group instanceof CacheGroup.StateSpace(List<Integer> _, StateShape state)) {
        return new AgentMetadata.SsmSizes(
            state.convolutionBytes(ranks), state.temporalBytes(ranks));
      }
    }
    return AgentMetadata.SsmSizes.NONE;
  }

  private static Parallelism parallelism(Map<RankId, AgentMetadata> ranks) {
    int pipeline = 1 + ranks.keySet().stream().mapToInt(RankId::pipeline).max().orElse(0);
    int tensor = 1 + ranks.keySet().stream().mapToInt(RankId::tensor).max().orElse(0);
    return new Parallelism(tensor, pipeline, 1);
  }

  private static List<RankId> grid(Parallelism parallelism) {
    List<RankId> grid = new ArrayList<>();
    for (int p = 0; p < parallelism.pipeline(); p++) {
      for (int t = 0; t < parallelism.tensor(); t++) {
        grid.add(new RankId(p, t));
      }
    }
    return grid;
  }

  private static AgentMetadata rank(Map<RankId, AgentMetadata> ranks, int pipeline, int tensor) {
    AgentMetadata metadata = ranks.get(new RankId(pipeline, tensor));
    if (metadata == null) {
      throw new IncompatibleGeometry(
          "the handshake of pipeline rank %d, tensor rank %d is missing; there are those of %s"
              .formatted(pipeline, tensor, ranks.keySet()));
    }
    return metadata;
  }

  private static Layout layout(ModelShape model, AgentMetadata metadata, ConnectorVersion version) {
    boolean allInOne =
        !version.namesAxes()
            && metadata.blockLens().size() == 1
            && model.layers() > 1
            && model.groups().size() == 1;
    if (allInOne) {
      return Layout.CROSS_LAYER;
    }
    return HandshakeLayout.of(
            metadata.kvCacheLayout(),
            metadata.attnBackendName(),
            // A latent is not divided into K and V: it lies as in the newer releases.
            model.isMla() ? ConnectorVersion.V14.number() : version.number())
        .orElseThrow(() ->
            new IncompatibleGeometry(
                "layout \"%s\" of backend %s is not known in connector version %d"
                    .formatted(
                        metadata.kvCacheLayout(), metadata.attnBackendName(), version.number())));
  }

  private static String who(RankId id) {
    return "pipeline rank %d, tensor rank %d".formatted(id.pipeline(), id.tensor());
  }

  private static void checkSameEngine(RankId id, AgentMetadata rank, AgentMetadata first) {
    String who = who(id);
    equal(who, "engine_id", first.engineId(), rank.engineId());
    equal(who, "block_size", first.blockSize(), rank.blockSize());
    equal(who, "kv_cache_layout", first.kvCacheLayout(), rank.kvCacheLayout());
    equal(who, "attn_backend_name", first.attnBackendName(), rank.attnBackendName());
    equal(who, "num_blocks", first.numBlocks(), rank.numBlocks());
    equal(
        who,
        "physical_blocks_per_logical_kv_block",
        first.physicalBlocksPerLogicalKvBlock(),
        rank.physicalBlocksPerLogicalKvBlock());
  }

  private static void checkShape(GeometrySpec spec, RankId id, AgentMetadata rank) {
    String who = who(id);
    unsupportedUnless(
        rank.dcpSize() == 1 && rank.pcpSize() == 1,
        who,
        "context parallelism (dcp_size=%d, pcp_size=%d)".formatted(rank.dcpSize(), rank.pcpSize()));
    if (!rank.ssmSizes().equals(ssmSizes(spec))) {
      throw new IncompatibleGeometry(
          "%s says ssm_sizes=%s; the state-space layers of the model's shape would give %s over %d tensor-parallel ranks"
              .formatted(who, rank.ssmSizes(), ssmSizes(spec), spec.parallelism().tensor()));
    }
    checkStrides(who, rank);
    rank.regionNumBlocks()
        .ifPresent(counts ->
            unsupportedUnless(
                counts.stream().allMatch(count -> count == rank.numBlocks()),
                who,
                "regions with %s blocks, where num_blocks is %d"
                    .formatted(counts, rank.numBlocks())));
    List<Long> expected =
        spec.allocations(id.pipeline(), id.tensor()).stream().map(Allocation::blockBytes).toList();
    if (!expected.equals(rank.blockLens()) || rank.kvCachesBaseAddr().size() != expected.size()) {
      throw new IncompatibleGeometry(
          "%s says it has %d regions with block_lens %s; %d layers, %d KV heads of %d %s, blocks of %d tokens and layout %s over %d tensor-parallel ranks would give %s. The model's shape, or the element type, is not this engine's"
              .formatted(
                  who,
                  rank.kvCachesBaseAddr().size(),
                  rank.blockLens(),
                  spec.model().layers(),
                  spec.model().kvHeads(),
                  spec.model().headSize(),
                  spec.model().element().shortName(),
                  spec.blockSize(),
                  spec.layout().shortName(),
                  spec.parallelism().tensor(),
                  expected));
    }
  }

  private static void checkStrides(String who, AgentMetadata rank) {
    boolean fits = rank.blockStrides().size() == rank.blockLens().size();
    for (int i = 0; fits && i < rank.blockLens().size(); i++) {
      fits = rank.blockStrides().get(i) >= rank.blockLens().get(i);
    }
    if (!fits) {
      throw new IncompatibleGeometry(
          "%s says block_strides=%s, which do not fit its block_lens=%s"
              .formatted(who, rank.blockStrides(), rank.blockLens()));
    }
  }

  private static void equal(String who, String field, Object expected, Object actual) {
    if (!expected.equals(actual)) {
      throw new IncompatibleGeometry(
          "%s says %s=%s, rank (0, 0) says %s".formatted(who, field, actual, expected));
    }
  }

  private static void unsupportedUnless(boolean supported, String who, String what) {
    if (!supported) {
      throw new IncompatibleGeometry("%s has %s, which cannot be planned yet".formatted(who, what));
    }
  }
}
