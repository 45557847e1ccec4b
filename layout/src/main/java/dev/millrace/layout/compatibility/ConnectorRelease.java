package dev.millrace.layout.compatibility;

import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What vLLM's NIXL connector can do, by its version ({@code NIXL_CONNECTOR_VERSION}). Where a
 * change came between two versions, the later one counts: a version is only said to be able to do
 * what all builds of it can.
 *
 * @param version its number
 */
record ConnectorRelease(int version) {
  /** The newest that was read: vLLM v0.33. */
  static final int NEWEST = 15;

  /** Versions of the releases whose sources were read, by {@code major.minor}. */
  private static final Map<String, Integer> RELEASES =
      new TreeMap<>(
          Map.ofEntries(
              Map.entry("0.19", 2),
              Map.entry("0.21", 3),
              Map.entry("0.23", 4),
              Map.entry("0.24", 4),
              Map.entry("0.27", 5),
              Map.entry("0.28", 7),
              Map.entry("0.29", 9),
              Map.entry("0.30", 11),
              Map.entry("0.31", 13),
              Map.entry("0.32", 14),
              Map.entry("0.33", 15)));

  /** A release, not a development build, whose connector could be any. */
  private static final Pattern RELEASE =
      Pattern.compile("v?(\\d+\\.\\d+)(\\.\\d+)?(\\.post\\d+)?(\\+.*)?");

  /** The connector version of a vLLM release; empty if it was not read. */
  static Optional<Integer> ofVllm(String vllmVersion) {
    Matcher matcher = RELEASE.matcher(vllmVersion);
    return matcher.matches()
        ? Optional.ofNullable(RELEASES.get(matcher.group(1)))
        : Optional.empty();
  }

  /** vLLM #45879 of 2026-06-17: decode ranks that outnumber the KV heads. */
  boolean readsWithMoreRanksThanHeads() {
    return version >= 5;
  }

  /** vLLM #37635 of spring 2026: state-space states between unequal tensor parallelism. */
  boolean splitsStates() {
    return version >= 3;
  }

  /** vLLM #49612 of 2026-07-28: unequal block sizes under the hybrid KV-cache manager. */
  boolean mapsBlocksOfHybrids() {
    return version >= 6;
  }

  /** vLLM #49230: draft models are part of the hash, before the documents asked for equality. */
  boolean hashesSpeculation() {
    return version >= 6;
  }

  /** vLLM #50620: push and pull are part of the hash. */
  boolean hashesTransferMode() {
    return version >= 7;
  }

  /** vLLM #50611: decode context parallelism. */
  boolean hasContextParallelism() {
    return version >= 8;
  }

  /** vLLM #51718: strides are exchanged, the layout is a global choice and no hash factor. */
  boolean hasStrides() {
    return version >= 9;
  }

  /** vLLM #53780: each region says in which memory it is, and what it is called. */
  boolean describesRegions() {
    return version >= 11;
  }

  /** vLLM #45880 of 2026-07-08: handshakes name the pipeline stage. */
  boolean asksForStages() {
    return version >= 5;
  }

  /** vLLM #41383: leases that heartbeats prolong; before it a fixed time. */
  boolean hasLeases() {
    return version >= 4;
  }

  /**
   * vLLM #50611: a notification says how many readers there are, not how many ranks the decode
   * engine has.
   */
  boolean countsReaders() {
    return version >= 8;
  }

  /**
   * Whether the hybrid KV-cache manager is off only if a connector cannot go with it; before, a
   * connector was enough (vLLM v0.21 and v0.22, {@code vllm/config/vllm.py}).
   */
  boolean asksConnectorsForHybridCaches() {
    return version >= 4;
  }

  /** vLLM #44455 of 2026-07-11: K and V of a head and token lie side by side. */
  boolean packsKeysAndValues() {
    return version >= 5;
  }

  /** vLLM #42095 of 2026-05-26: a layer's K and V are in one tensor, whatever the backend. */
  boolean keepsKeysAndValuesInOneTensor() {
    return version >= 4;
  }

  @Override
  public String toString() {
    return Integer.toString(version);
  }
}
