package dev.millrace.transfer.sidechannel;

import java.io.IOException;
import java.math.BigInteger;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.msgpack.core.MessageBufferPacker;

/** {@link AgentMetadata} as msgpack, key by key in the order of a version's schema. */
final class MetadataCodec {
  private static final Map<String, MetadataField> BY_KEY = byKey();

  // What a key that is absent means.
  private String engineId = "";
  private Blob agentMetadata = Blob.EMPTY;
  private List<Long> kvCachesBaseAddr = List.of();
  private int deviceId;
  private int numBlocks;
  private List<Long> blockLens = List.of();
  private Optional<List<Long>> blockStrides = Optional.empty();
  private String kvCacheLayout = "";
  private int blockSize;
  private AgentMetadata.SsmSizes ssmSizes = AgentMetadata.SsmSizes.NONE;
  private String attnBackendName = "";
  private int physicalBlocksPerLogicalKvBlock = 1;
  private Optional<List<Integer>> regionNumBlocks = Optional.empty();
  private Optional<List<Integer>> regionGroupIds = Optional.empty();
  private Optional<List<String>> regionNames = Optional.empty();
  private Optional<List<String>> regionMemTypes = Optional.empty();
  private int dcpSize = 1;
  private int pcpSize = 1;
  private Optional<Long> pleBlockLen = Optional.empty();
  private Blob regionMembers = AgentMetadata.NO_MEMBERS;
  private Blob packedMemberLayouts = AgentMetadata.NO_LAYOUTS;

  private MetadataCodec() {}

  private static Map<String, MetadataField> byKey() {
    Map<String, MetadataField> map = new HashMap<>();
    for (MetadataField field : MetadataField.values()) {
      map.put(field.key(), field);
    }
    return map;
  }

  static AgentMetadata read(MsgpackReader in, ConnectorVersion version) throws IOException {
    MetadataCodec values = new MetadataCodec();
    Set<MetadataField> present = EnumSet.noneOf(MetadataField.class);
    for (int left = in.mapHeader(); left > 0; left--) {
      in.at("agent metadata, a key");
      String key = in.text();
      in.at("agent metadata, " + key);
      MetadataField field = BY_KEY.get(key);
      if (field == null || !version.fields().contains(field)) {
        in.skip();
      } else {
        values.read(field, in);
        present.add(field);
      }
    }
    in.at("agent metadata");
    for (MetadataField field : version.fields()) {
      if (field.isRequired() && !present.contains(field)) {
        throw in.malformed(
            "required key %s of connector version %d is missing"
                .formatted(field.key(), version.number()));
      }
    }
    return values.build();
  }

  private void read(MetadataField field, MsgpackReader in) throws IOException {
    switch (field) {
      case ENGINE_ID -> engineId = in.text();
      case AGENT_METADATA -> agentMetadata = Blob.of(in.binary());
      case KV_CACHES_BASE_ADDR -> kvCachesBaseAddr = in.list(in::unsigned);
      case DEVICE_ID -> deviceId = in.number();
      case NUM_BLOCKS -> numBlocks = in.number();
      case BLOCK_LENS -> blockLens = in.list(in::size);
      case BLOCK_STRIDES -> blockStrides = Optional.of(in.list(in::size));
      case KV_CACHE_LAYOUT -> kvCacheLayout = in.text();
      case BLOCK_SIZE -> blockSize = in.number();
      case SSM_SIZES -> ssmSizes = ssmSizes(in);
      case ATTN_BACKEND_NAME -> attnBackendName = in.text();
      case PHYSICAL_BLOCKS_PER_LOGICAL_KV_BLOCK -> physicalBlocksPerLogicalKvBlock = in.number();
      case REGION_NUM_BLOCKS -> regionNumBlocks = in.orNil(() -> in.list(in::number));
      case REGION_GROUP_IDS -> regionGroupIds = in.orNil(() -> in.list(in::number));
      case REGION_NAMES -> regionNames = in.orNil(() -> in.list(in::text));
      case REGION_MEM_TYPES -> regionMemTypes = in.orNil(() -> in.list(in::text));
      case DCP_SIZE -> dcpSize = in.number();
      case PCP_SIZE -> pcpSize = in.number();
      case PLE_BLOCK_LEN -> pleBlockLen = in.orNil(in::size);
      case REGION_MEMBERS -> regionMembers = in.raw();
      case PACKED_MEMBER_LAYOUTS -> packedMemberLayouts = in.raw();
    }
  }

  private static AgentMetadata.SsmSizes ssmSizes(MsgpackReader in) throws IOException {
    int count = in.arrayHeader();
    if (count != 2) {
      throw in.malformed(count + " elements, not 2");
    }
    return new AgentMetadata.SsmSizes(in.size(), in.size());
  }

  private AgentMetadata build() {
    return new AgentMetadata(
        engineId,
        agentMetadata,
        kvCachesBaseAddr,
        deviceId,
        numBlocks,
        blockLens,
        // Up to version 8 blocks followed each other without a gap.
        blockStrides.orElse(blockLens),
        kvCacheLayout,
        blockSize,
        ssmSizes,
        attnBackendName,
        physicalBlocksPerLogicalKvBlock,
        regionNumBlocks,
        regionGroupIds,
        regionNames,
        regionMemTypes,
        dcpSize,
        pcpSize,
        pleBlockLen,
        regionMembers,
        packedMemberLayouts);
  }

  static void write(AgentMetadata metadata, ConnectorVersion version, MessageBufferPacker out)
      throws IOException {
    out.packMapHeader(version.fields().size());
    for (MetadataField field : version.fields()) {
      out.packString(field.key());
      write(field, metadata, out);
    }
  }

  private static void write(MetadataField field, AgentMetadata from, MessageBufferPacker out)
      throws IOException {
    switch (field) {
      case ENGINE_ID -> out.packString(from.engineId());
      case AGENT_METADATA -> HandshakeCodec.pack(out, from.agentMetadata());
      case KV_CACHES_BASE_ADDR -> {
        out.packArrayHeader(from.kvCachesBaseAddr().size());
        for (long address : from.kvCachesBaseAddr()) {
          unsigned(out, address);
        }
      }
      case DEVICE_ID -> out.packInt(from.deviceId());
      case NUM_BLOCKS -> out.packInt(from.numBlocks());
      case BLOCK_LENS -> longs(out, from.blockLens());
      case BLOCK_STRIDES -> longs(out, from.blockStrides());
      case KV_CACHE_LAYOUT -> out.packString(from.kvCacheLayout());
      case BLOCK_SIZE -> out.packInt(from.blockSize());
      case SSM_SIZES -> {
        out.packArrayHeader(2);
        out.packLong(from.ssmSizes().convBytes()).packLong(from.ssmSizes().temporalBytes());
      }
      case ATTN_BACKEND_NAME -> out.packString(from.attnBackendName());
      case PHYSICAL_BLOCKS_PER_LOGICAL_KV_BLOCK ->
          out.packInt(from.physicalBlocksPerLogicalKvBlock());
      case REGION_NUM_BLOCKS -> numbers(out, from.regionNumBlocks());
      case REGION_GROUP_IDS -> numbers(out, from.regionGroupIds());
      case REGION_NAMES -> texts(out, from.regionNames());
      case REGION_MEM_TYPES -> texts(out, from.regionMemTypes());
      case DCP_SIZE -> out.packInt(from.dcpSize());
      case PCP_SIZE -> out.packInt(from.pcpSize());
      case PLE_BLOCK_LEN -> {
        if (from.pleBlockLen().isPresent()) {
          out.packLong(from.pleBlockLen().get());
        } else {
          out.packNil();
        }
      }
      case REGION_MEMBERS -> out.writePayload(from.regionMembers().bytes());
      case PACKED_MEMBER_LAYOUTS -> out.writePayload(from.packedMemberLayouts().bytes());
    }
  }

  private static void unsigned(MessageBufferPacker out, long value) throws IOException {
    if (value >= 0) {
      out.packLong(value);
    } else {
      out.packBigInteger(new BigInteger(Long.toUnsignedString(value)));
    }
  }

  private static void longs(MessageBufferPacker out, List<Long> values) throws IOException {
    out.packArrayHeader(values.size());
    for (long value : values) {
      out.packLong(value);
    }
  }

  private static void numbers(MessageBufferPacker out, Optional<List<Integer>> values)
      throws IOException {
    if (values.isEmpty()) {
      out.packNil();
      return;
    }
    out.packArrayHeader(values.get().size());
    for (int value : values.get()) {
      out.packInt(value);
    }
  }

  private static void texts(MessageBufferPacker out, Optional<List<String>> values)
      throws IOException {
    if (values.isEmpty()) {
      out.packNil();
      return;
    }
    out.packArrayHeader(values.get().size());
    for (String value : values.get()) {
      out.packString(value);
    }
  }
}
