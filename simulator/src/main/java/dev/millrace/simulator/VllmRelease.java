package dev.millrace.simulator;

import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
import java.time.Duration;

/**
 * The release of vLLM that an engine plays, by the version of its NIXL connector. What differs
 * between releases beyond the handshake is said here and nowhere else (vLLM v0.19 to v0.32, {@code
 * kv_connector/v1/nixl} and its predecessor {@code nixl_connector.py}).
 *
 * @param connector version of the connector
 */
public record VllmRelease(ConnectorVersion connector) {
  /** The one that was recorded. */
  public static final VllmRelease RECORDED = new VllmRelease(ConnectorVersion.V14);

  private static final int WITH_HAND_OVER_AT_STOP = 3;
  private static final int WITH_HEARTBEATS = 4;
  private static final int WITH_HYBRID_CACHES = 4;
  private static final int WITH_ONE_TENSOR_PER_LAYER = 4;
  private static final int WITH_PACKED_KEYS_AND_VALUES = 5;
  private static final int WITH_MORE_RANKS_THAN_HEADS = 5;
  private static final int WITH_BLOCKS_OF_HYBRIDS = 6;
  private static final int WITH_COUNTED_READERS = 8;
  private static final int WITH_TOKENS_FOR_CHATS = 14;

  /** {@code vllm.__version__}. */
  public String version() {
    return switch (connector) {
      case V2 -> "0.19.1";
      case V3 -> "0.21.0";
      case V4 -> "0.24.0";
      case V5 -> "0.27.1";
      case V6 -> "0.28.0.dev0";
      case V7 -> "0.28.0";
      case V9 -> "0.29.0";
      case V11 -> "0.30.0";
      case V13 -> "0.31.0";
      case V14 -> "0.32.0";
    };
  }

  private boolean since(int first) {
    return connector.number() >= first;
  }

  /**
   * How long blocks stay pinned for a decode engine that gives no sign: {@code kv_lease_duration},
   * or {@code VLLM_NIXL_ABORT_REQUEST_TIMEOUT} before there were leases.
   */
  public Duration lease() {
    return hasHeartbeats() ? Duration.ofSeconds(30) : Duration.ofSeconds(480);
  }

  /** Whether decode engines ask for longer leases, and prefill engines understand them. */
  public boolean hasHeartbeats() {
    return since(WITH_HEARTBEATS);
  }

  /** Whether blocks are handed over when a stop string has ended the answer (vLLM PR 32553). */
  public boolean handsOverAtStop() {
    return since(WITH_HAND_OVER_AT_STOP);
  }

  /** Whether a chat's tokens are taken from its {@code kv_transfer_params} (vLLM PR 48145). */
  public boolean takesTokensForChats() {
    return since(WITH_TOKENS_FOR_CHATS);
  }

  /** Whether the hybrid KV-cache manager stays on beside a connector. */
  public boolean keepsHybridCaches() {
    return since(WITH_HYBRID_CACHES);
  }

  /** Whether more decode ranks than KV heads can read from fewer prefill ranks. */
  public boolean readsWithMoreRanksThanHeads() {
    return since(WITH_MORE_RANKS_THAN_HEADS);
  }

  /** Whether several KV-cache groups can be read from blocks of another size. */
  public boolean mapsBlocksOfHybrids() {
    return since(WITH_BLOCKS_OF_HYBRIDS);
  }

  /**
   * The number in a notification.
   *
   * @param decodeRanks tensor-parallel size of the reader
   * @param readers of its ranks that read from the notified rank
   */
  public int said(int decodeRanks, int readers) {
    return since(WITH_COUNTED_READERS) ? readers : decodeRanks;
  }

  /**
   * How many readers a prefill rank waits for.
   *
   * @param said the number in their notifications
   * @param prefillRanks its own tensor-parallel size
   */
  public int awaited(int said, int prefillRanks) {
    if (since(WITH_COUNTED_READERS)) {
      return said;
    }
    return said > prefillRanks ? said / prefillRanks : 1;
  }

  /**
   * What becomes of a layout that says only whether heads or tokens are outermost: this release's
   * way to keep K and V.
   *
   * @throws IllegalArgumentException if this release has no such layout, or no name for it
   */
  GeometrySpec inEffect(GeometrySpec asked, String backend) {
    Layout layout = asked.model().isMla() ? asked.layout() : ofTheEra(asked.layout(), backend);
    GeometrySpec spec =
        new GeometrySpec(
            asked.model(),
            asked.parallelism(),
            asked.blockSize(),
            layout,
            asked.blocks(),
            asked.blocksPerId());
    if (!connector.namesAxes() && !isNamedHere(layout, backend)) {
      throw new IllegalArgumentException(
          "layout %s cannot be told in a handshake of connector version %d: hnd, nhd and cross-layer can"
              .formatted(layout.shortName(), connector.number()));
    }
    return spec;
  }

  private Layout ofTheEra(Layout asked, String backend) {
    if (since(WITH_PACKED_KEYS_AND_VALUES)) {
      return asked;
    }
    boolean split = since(WITH_ONE_TENSOR_PER_LAYER) || backend.equals("FLASHINFER");
    return switch (asked) {
      case HND -> split ? Layout.HND_SPLIT : Layout.HND_SEPARATE;
      case NHD -> split ? Layout.NHD_SPLIT : Layout.NHD_SEPARATE;
      case HND_SPLIT,
          NHD_SPLIT,
          HND_SEPARATE,
          NHD_SEPARATE,
          CROSS_LAYER,
          CROSS_LAYER_LHN,
          CROSS_LAYER_LNH,
          HEAD_MAJOR,
          CPU_ATTENTION ->
          asked;
    };
  }

  private boolean isNamedHere(Layout layout, String backend) {
    return switch (layout) {
      case HND, NHD, HND_SPLIT, NHD_SPLIT, HND_SEPARATE, NHD_SEPARATE ->
          layout == ofTheEra(Layout.HND, backend)
              || layout == ofTheEra(Layout.NHD, backend)
              || layout == Layout.HND
              || layout == Layout.NHD;
      case CROSS_LAYER, CPU_ATTENTION -> true;
      case CROSS_LAYER_LHN, CROSS_LAYER_LNH, HEAD_MAJOR -> false;
    };
  }
}
