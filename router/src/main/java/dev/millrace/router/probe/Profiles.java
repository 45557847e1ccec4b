package dev.millrace.router.probe;

import dev.millrace.config.EngineKind;
import dev.millrace.layout.compatibility.EngineProfile;
import dev.millrace.layout.compatibility.Fact;
import dev.millrace.layout.compatibility.HandshakeLayout;
import dev.millrace.router.pools.Worker;
import dev.millrace.router.probe.Sighting.CacheConfig;
import dev.millrace.router.probe.Sighting.Rank;
import dev.millrace.router.probe.Sighting.ServedModel;
import dev.millrace.router.probe.Sighting.Told;
import dev.millrace.transfer.sidechannel.AgentMetadata;
import java.util.List;
import java.util.Optional;

/** What is known of a worker: what its operator says and what it says itself, fact by fact. */
public final class Profiles {
  private static final String TABLE = "the worker's pool";
  private static final String MODELS = "GET /v1/models";
  private static final String CACHE_CONFIG = "vllm:cache_config_info in /metrics";
  private static final String PREFILL = "kv_transfer_params of a prompt of one token";
  private static final String HANDSHAKE = "the handshake of rank (0, 0)";

  private Profiles() {}

  /** From the routing table alone. */
  public static EngineProfile declared(Worker worker) {
    return start(worker).build();
  }

  /** From the table and from what the worker answered. */
  public static EngineProfile of(Worker worker, Sighting sighting) {
    EngineProfile.Builder profile = start(worker);
    profile.probe(Fact.VLLM_VERSION, sighting.version(), "GET /version");
    profile.probe(Fact.MODEL, root(worker, sighting.models()), MODELS);
    sighting.cache().ifPresent(cache -> cache(profile, cache));
    sighting.told().ifPresent(told -> told(profile, told));
    Optional<Integer> version = connectorVersion(worker, sighting.version());
    sighting.handshake().ifPresent(rank -> handshake(profile, rank, version));
    return profile.build();
  }

  /** The connector version that is declared, or follows from vLLM's. */
  static Optional<Integer> connectorVersion(Worker worker, Optional<String> vllmVersion) {
    return start(worker)
        .probe(Fact.VLLM_VERSION, vllmVersion, "GET /version")
        .build()
        .value(Fact.CONNECTOR_VERSION);
  }

  private static EngineProfile.Builder start(Worker worker) {
    EngineProfile.Builder profile = EngineProfile.named(worker.url());
    profile.declare(Fact.KIND, kind(worker.engine()), TABLE);
    profile.declare(Fact.HTTP_HOST, worker.host(), TABLE);
    worker
        .sideChannel()
        .ifPresent(address -> {
          profile.declare(Fact.SIDE_CHANNEL_HOST, address.host(), TABLE);
          profile.declare(Fact.SIDE_CHANNEL_PORT, address.port(), TABLE);
        });
    if (worker.dataParallel() > 1) {
      profile.declare(Fact.DATA_PARALLEL_RANK, worker.rank(), TABLE);
    }
    worker.declared().into(profile);
    return profile;
  }

  private static dev.millrace.layout.compatibility.EngineKind kind(EngineKind kind) {
    return switch (kind) {
      case VLLM -> dev.millrace.layout.compatibility.EngineKind.VLLM;
      case MILLRACE_SIM -> dev.millrace.layout.compatibility.EngineKind.MILLRACE_SIM;
    };
  }

  /** {@code root} is what stood on the command line. */
  private static Optional<String> root(Worker worker, List<ServedModel> models) {
    return models.stream()
        .filter(model -> model.id().equals(worker.model()))
        .findFirst()
        .flatMap(ServedModel::root);
  }

  private static void cache(EngineProfile.Builder profile, CacheConfig cache) {
    profile.probe(Fact.BLOCK_SIZE, cache.blockSize(), CACHE_CONFIG);
    profile.probe(Fact.CACHE_DTYPE, cache.cacheDtype(), CACHE_CONFIG);
    profile.probe(Fact.PREFIX_CACHING, cache.prefixCaching(), CACHE_CONFIG);
  }

  private static void told(EngineProfile.Builder profile, Told told) {
    profile.probe(Fact.ENGINE_ID, told.engineId(), PREFILL);
    profile.probe(Fact.SIDE_CHANNEL_HOST, told.host(), PREFILL);
    profile.probe(Fact.SIDE_CHANNEL_PORT, told.port(), PREFILL);
    profile.probe(Fact.TENSOR_PARALLEL, told.tensorParallel(), PREFILL);
    profile.probe(Fact.PIPELINE_PARALLEL, told.pipelineParallel(), PREFILL);
  }

  private static void handshake(
      EngineProfile.Builder profile, Rank rank, Optional<Integer> connectorVersion) {
    AgentMetadata said = rank.metadata();
    profile.probe(Fact.HASH, rank.compatibilityHash(), HANDSHAKE);
    profile.probe(Fact.ENGINE_ID, said.engineId(), HANDSHAKE);
    profile.probe(Fact.ATTENTION_BACKEND, said.attnBackendName(), HANDSHAKE);
    profile.probe(Fact.KERNEL_BLOCK_SIZE, said.blockSize(), HANDSHAKE);
    profile.probe(Fact.KERNEL_BLOCKS_PER_BLOCK, said.physicalBlocksPerLogicalKvBlock(), HANDSHAKE);
    profile.probe(Fact.BLOCK_LENS, said.blockLens(), HANDSHAKE);
    profile.probe(Fact.REGION_NAMES, said.regionNames(), HANDSHAKE);
    profile.probe(Fact.RANK_BLOCKS, List.of(said.numBlocks()), HANDSHAKE);
    profile.probe(Fact.DECODE_CONTEXT_PARALLEL, said.dcpSize(), HANDSHAKE);
    profile.probe(Fact.PREFILL_CONTEXT_PARALLEL, said.pcpSize(), HANDSHAKE);
    connectorVersion.ifPresent(version ->
        profile.probe(
            Fact.LAYOUT,
            HandshakeLayout.of(said.kvCacheLayout(), said.attnBackendName(), version),
            HANDSHAKE));
  }
}
