package dev.millrace.transfer.sidechannel;

import java.util.List;
import java.util.Optional;

/**
 * What a rank says of its KV cache ({@code NixlAgentMetadata}). Fields as in connector version 14;
 * what an older version lacks has the value that it meant.
 *
 * @param engineId must equal {@code remote_engine_id} of the request's parameters
 * @param agentMetadata opaque: what the transport needs to connect
 * @param kvCachesBaseAddr address of each region, unsigned
 * @param deviceId ordinal of the device that holds the cache
 * @param numBlocks blocks of {@code blockSize} tokens
 * @param blockLens bytes of a block in each region
 * @param blockStrides distance of neighbouring blocks in each region
 * @param kvCacheLayout the order of the axes, such as {@code LBHNC}
 * @param blockSize tokens of a block as the attention kernel sees it
 * @param ssmSizes bytes of the convolution and the temporal state, 0 without state-space layers
 * @param attnBackendName attention backend of the first layer
 * @param physicalBlocksPerLogicalKvBlock how many such blocks one block id of a request means
 * @param regionNumBlocks blocks of each region
 * @param regionGroupIds KV-cache group of each region, -1 where groups share it
 * @param regionNames name of each region, vLLM's layer name
 * @param regionMemTypes memory type of each region, {@code DRAM} or {@code VRAM}
 * @param dcpSize decode-context-parallel size
 * @param pcpSize prefill-context-parallel size
 * @param pleBlockLen bytes of a block of per-layer embeddings
 * @param regionMembers members of regions that pack several layers; msgpack as received
 * @param packedMemberLayouts where each packed member lies; msgpack as received
 */
public record AgentMetadata(
    String engineId,
    Blob agentMetadata,
    List<Long> kvCachesBaseAddr,
    int deviceId,
    int numBlocks,
    List<Long> blockLens,
    List<Long> blockStrides,
    String kvCacheLayout,
    int blockSize,
    SsmSizes ssmSizes,
    String attnBackendName,
    int physicalBlocksPerLogicalKvBlock,
    Optional<List<Integer>> regionNumBlocks,
    Optional<List<Integer>> regionGroupIds,
    Optional<List<String>> regionNames,
    Optional<List<String>> regionMemTypes,
    int dcpSize,
    int pcpSize,
    Optional<Long> pleBlockLen,
    Blob regionMembers,
    Blob packedMemberLayouts) {

  /** An empty msgpack array: no {@link #regionMembers}. */
  public static final Blob NO_MEMBERS = Blob.of((byte) 0x90);

  /** An empty msgpack map: no {@link #packedMemberLayouts}. */
  public static final Blob NO_LAYOUTS = Blob.of((byte) 0x80);

  /** Sizes of the two states of a state-space layer. */
  public record SsmSizes(long convBytes, long temporalBytes) {
    /** No state-space layers. */
    public static final SsmSizes NONE = new SsmSizes(0, 0);

    @Override
    public String toString() {
      return "(" + convBytes + ", " + temporalBytes + ")";
    }
  }

  public AgentMetadata {
    kvCachesBaseAddr = List.copyOf(kvCachesBaseAddr);
    blockLens = List.copyOf(blockLens);
    blockStrides = List.copyOf(blockStrides);
    regionNumBlocks = regionNumBlocks.map(List::copyOf);
    regionGroupIds = regionGroupIds.map(List::copyOf);
    regionNames = regionNames.map(List::copyOf);
    regionMemTypes = regionMemTypes.map(List::copyOf);
  }
}
