package dev.millrace.transfer.sidechannel;

import dev.millrace.layout.AxisName;
import dev.millrace.layout.Layout;
import java.util.Arrays;
import java.util.List;

/**
 * Versions of vLLM's NIXL connector ({@code NIXL_CONNECTOR_VERSION} in {@code nixl/metadata.py})
 * whose handshake is known. The number is a factor of the compatibility hash, so two engines that
 * pair have the same one.
 */
public enum ConnectorVersion {
  /** vLLM v0.19. */
  V2(2),
  /** vLLM v0.21: how many kernel blocks a block id means. */
  V3(3),
  /** vLLM v0.23 and v0.24: heartbeats. */
  V4(4),
  /** vLLM v0.27: pipeline rank in the request, the clock as second frame of the reply. */
  V5(5),
  /** The speculative configuration enters the hash. */
  V6(6),
  /** vLLM v0.28: push and pull enter the hash. */
  V7(7),
  /** vLLM v0.29: strides, context parallelism, layouts by the order of all axes. */
  V9(9),
  /** vLLM v0.30: regions with names, groups and memory types. */
  V11(11),
  /** vLLM v0.31: packed members. */
  V13(13),
  /** vLLM v0.32: per-layer embeddings. */
  V14(14);

  /** Which ranks a request names. */
  enum RequestForm {
    /** {@code (get_meta_msg, tensor rank)}, up to mid-2026. */
    TENSOR_RANK,
    /** {@code (get_meta_msg, pipeline rank, tensor rank)}. */
    BOTH_RANKS
  }

  /** The first with pipeline ranks and a clock. */
  private static final int WITH_STAGES = 5;

  /** The first that names layouts by the order of their axes, blocks among them. */
  private static final int WITH_AXES = 9;

  private final int number;
  private final List<MetadataField> fields;

  ConnectorVersion(int number) {
    this.number = number;
    this.fields =
        Arrays.stream(MetadataField.values()).filter(field -> field.since() <= number).toList();
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

  /** Whether its handshakes name layouts by the order of all axes, and not as HND or NHD only. */
  public boolean namesAxes() {
    return number >= WITH_AXES;
  }

  /** What a handshake calls a layout, {@code kv_cache_layout}. */
  public String layoutName(Layout layout) {
    if (namesAxes()) {
      return layout.wireName();
    }
    List<AxisName> order = layout.order();
    return order.indexOf(AxisName.HEAD) < order.indexOf(AxisName.TOKEN) ? "HND" : "NHD";
  }

  /** The metadata's keys in the order in which vLLM writes them. */
  List<MetadataField> fields() {
    return fields;
  }

  RequestForm requestForm() {
    return number >= WITH_STAGES ? RequestForm.BOTH_RANKS : RequestForm.TENSOR_RANK;
  }

  /** Whether a reply ends with the answering side's clock. */
  boolean repliesWithClock() {
    return number >= WITH_STAGES;
  }
}
