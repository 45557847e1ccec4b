package dev.millrace.transfer.sidechannel;

import java.util.Arrays;
import java.util.List;

/**
 * Versions of vLLM's NIXL connector ({@code NIXL_CONNECTOR_VERSION} in {@code nixl/metadata.py})
 * whose handshake is known. The number is a factor of the compatibility hash, so two engines that
 * pair have the same one.
 */
public enum ConnectorVersion {
  /** vLLM v0.21. */
  V3(3, Fields.DENSE, RequestForm.TENSOR_RANK),
  /** vLLM v0.23 and v0.24: heartbeats. */
  V4(4, Fields.DENSE, RequestForm.TENSOR_RANK),
  /** vLLM v0.27: pipeline rank in the request, the clock as second frame of the reply. */
  V5(5, Fields.DENSE, RequestForm.BOTH_RANKS),
  /** The speculative configuration enters the hash. */
  V6(6, Fields.DENSE, RequestForm.BOTH_RANKS),
  /** vLLM v0.28: push and pull enter the hash. */
  V7(7, Fields.DENSE, RequestForm.BOTH_RANKS),
  /** vLLM v0.32: strides, regions with names, groups and memory types, packed members. */
  V14(14, Fields.REGIONS, RequestForm.BOTH_RANKS);

  /** Which ranks a request names. */
  enum RequestForm {
    /** {@code (get_meta_msg, tensor rank)}, up to mid-2026. */
    TENSOR_RANK,
    /** {@code (get_meta_msg, pipeline rank, tensor rank)}. */
    BOTH_RANKS
  }

  private final int number;
  private final List<MetadataField> fields;
  private final RequestForm requestForm;

  ConnectorVersion(int number, List<MetadataField> fields, RequestForm requestForm) {
    this.number = number;
    this.fields = fields;
    this.requestForm = requestForm;
  }

  /** vLLM's number. */
  public int number() {
    return number;
  }

  /**
   * The version with this number.
   *
   * @throws IllegalArgumentException with the known numbers, if there is none
   */
  public static ConnectorVersion of(int number) {
    for (ConnectorVersion version : values()) {
      if (version.number == number) {
        return version;
      }
    }
    throw new IllegalArgumentException(
        "the handshake of NIXL connector version %d is not known; known: %s"
            .formatted(number, Arrays.toString(values())));
  }

  /** The metadata's keys in the order in which vLLM writes them. */
  List<MetadataField> fields() {
    return fields;
  }

  RequestForm requestForm() {
    return requestForm;
  }

  /** The schemas, apart because an enum's constants cannot refer to its static fields. */
  private static final class Fields {
    static final List<MetadataField> DENSE =
        List.of(
            MetadataField.ENGINE_ID,
            MetadataField.AGENT_METADATA,
            MetadataField.KV_CACHES_BASE_ADDR,
            MetadataField.DEVICE_ID,
            MetadataField.NUM_BLOCKS,
            MetadataField.BLOCK_LENS,
            MetadataField.KV_CACHE_LAYOUT,
            MetadataField.BLOCK_SIZE,
            MetadataField.SSM_SIZES,
            MetadataField.ATTN_BACKEND_NAME,
            MetadataField.PHYSICAL_BLOCKS_PER_LOGICAL_KV_BLOCK);
    static final List<MetadataField> REGIONS = List.of(MetadataField.values());
  }
}
