package dev.millrace.transfer.sidechannel;

import java.util.Locale;

/** The keys of {@code NixlAgentMetadata}, in the order of connector version 14. */
enum MetadataField {
  ENGINE_ID,
  AGENT_METADATA,
  KV_CACHES_BASE_ADDR,
  DEVICE_ID,
  NUM_BLOCKS,
  BLOCK_LENS,
  BLOCK_STRIDES,
  KV_CACHE_LAYOUT,
  BLOCK_SIZE,
  SSM_SIZES,
  ATTN_BACKEND_NAME,
  PHYSICAL_BLOCKS_PER_LOGICAL_KV_BLOCK,
  REGION_NUM_BLOCKS,
  REGION_GROUP_IDS,
  REGION_NAMES,
  REGION_MEM_TYPES,
  DCP_SIZE,
  PCP_SIZE,
  PLE_BLOCK_LEN,
  REGION_MEMBERS,
  PACKED_MEMBER_LAYOUTS;

  /** The key on the wire. */
  String key() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** The first connector version that has it. */
  int since() {
    return switch (this) {
      case ENGINE_ID,
          AGENT_METADATA,
          KV_CACHES_BASE_ADDR,
          DEVICE_ID,
          NUM_BLOCKS,
          BLOCK_LENS,
          KV_CACHE_LAYOUT,
          BLOCK_SIZE,
          SSM_SIZES,
          ATTN_BACKEND_NAME ->
          1;
      case PHYSICAL_BLOCKS_PER_LOGICAL_KV_BLOCK -> 3;
      case DCP_SIZE, PCP_SIZE -> 8;
      case BLOCK_STRIDES -> 9;
      case REGION_NUM_BLOCKS, REGION_GROUP_IDS, REGION_NAMES, REGION_MEM_TYPES -> 11;
      case REGION_MEMBERS -> 12;
      case PACKED_MEMBER_LAYOUTS -> 13;
      case PLE_BLOCK_LEN -> 14;
    };
  }

  /** Whether vLLM refuses metadata without it. */
  boolean isRequired() {
    return switch (this) {
      case ENGINE_ID,
          AGENT_METADATA,
          KV_CACHES_BASE_ADDR,
          DEVICE_ID,
          NUM_BLOCKS,
          BLOCK_LENS,
          BLOCK_STRIDES,
          KV_CACHE_LAYOUT,
          BLOCK_SIZE,
          SSM_SIZES,
          ATTN_BACKEND_NAME,
          PHYSICAL_BLOCKS_PER_LOGICAL_KV_BLOCK ->
          true;
      case REGION_NUM_BLOCKS,
          REGION_GROUP_IDS,
          REGION_NAMES,
          REGION_MEM_TYPES,
          DCP_SIZE,
          PCP_SIZE,
          PLE_BLOCK_LEN,
          REGION_MEMBERS,
          PACKED_MEMBER_LAYOUTS ->
          false;
    };
  }
}
