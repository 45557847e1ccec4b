package dev.millrace.layout.compatibility;

import java.util.List;
import java.util.Optional;

/**
 * What the decode engine's connector says when it refuses the prefill engine: the first thing that
 * it finds, in its own order, not ours. Pairs that it takes although their answers are wrong are
 * taken here, too.
 */
public final class ConnectorMessage {
  /** The order of the checks in vLLM v0.32, {@code nixl/base_worker.py}. */
  private static final List<Rule> CHECKS =
      List.of(
          Rule.COMPATIBILITY_HASH,
          Rule.CONTEXT_PARALLEL,
          Rule.ENGINE_ID,
          Rule.TENSOR_PARALLEL,
          Rule.BLOCK_SIZE,
          Rule.REPLICATED_HEADS,
          Rule.MORE_RANKS_THAN_HEADS,
          Rule.HYBRID_TENSOR_PARALLEL,
          Rule.HYBRID_KERNEL_BLOCKS,
          Rule.HYBRID_BLOCK_SIZE,
          Rule.HOST_BUFFER_BLOCK_SIZE,
          Rule.CROSS_LAYER_BLOCKS,
          Rule.LAYOUT,
          Rule.CPU_REPACKING,
          Rule.HEADS_NOT_CONTIGUOUS,
          Rule.REGIONS,
          Rule.BLOCK_SIZE_WITH_TENSOR_PARALLEL,
          Rule.REGION_LENGTHS,
          Rule.RANK_BLOCKS);

  private ConnectorMessage() {}

  /** The message; empty if the connector takes the prefill engine. */
  public static Optional<String> of(EngineProfile prefill, EngineProfile decode) {
    return switch (Compatibility.check(prefill, decode, Way.ENGINE)) {
      case Verdict.Refused(List<Reason> reasons) ->
          CHECKS.stream()
              .flatMap(check -> reasons.stream().filter(reason -> reason.rule() == check))
              .findFirst()
              .map(reason -> words(reason, prefill, decode));
      case Verdict.Fits _, Verdict.FitsWith _, Verdict.Unknown _ -> Optional.empty();
    };
  }

  /** Recorded from vLLM v0.32.0 where it was met there; "local" is the decode engine. */
  private static String words(Reason reason, EngineProfile prefill, EngineProfile decode) {
    if (reason.rule() == Rule.COMPATIBILITY_HASH) {
      return "NIXL compatibility hash mismatch. Local: %s, Remote: %s."
          .formatted(reason.decode(), reason.prefill());
    }
    if (reason.rule() == Rule.BLOCK_SIZE) {
      return "Local block size %d is not divisible by remote block size %d or vice versa."
          .formatted(
              decode.value(Fact.KERNEL_BLOCK_SIZE).orElseThrow(),
              prefill.value(Fact.KERNEL_BLOCK_SIZE).orElseThrow());
    }
    if (reason.rule() == Rule.BLOCK_SIZE_WITH_TENSOR_PARALLEL) {
      return "Different local/remote block sizes are not supported when P TP > D TP.";
    }
    return "%s: local %s, remote %s".formatted(reason.rule(), reason.decode(), reason.prefill());
  }
}
