package dev.millrace.layout.compatibility;

import java.util.Optional;

/**
 * Which ranks read from which: tensor, pipeline and context parallelism. P and D are the
 * tensor-parallel sizes, K the number of KV heads.
 */
final class ParallelismRules {
  private final Pair pair;
  private final Findings findings;

  private ParallelismRules(Pair pair, Findings findings) {
    this.pair = pair;
    this.findings = findings;
  }

  static void judge(Pair pair, Findings findings) {
    ParallelismRules rules = new ParallelismRules(pair, findings);
    rules.tensor();
    rules.pipeline();
    rules.context();
  }

  private void tensor() {
    findings.need(Rule.TENSOR_PARALLEL, pair, Fact.TENSOR_PARALLEL);
    if (!pair.tensorParallelismDiffers()) {
      return;
    }
    int prefill = pair.prefill(Fact.TENSOR_PARALLEL).orElseThrow();
    int decode = pair.decode(Fact.TENSOR_PARALLEL).orElseThrow();
    if (prefill % decode != 0 && decode % prefill != 0) {
      findings.refuse(
          Rule.TENSOR_PARALLEL,
          prefill,
          decode,
          "choose tensor-parallel sizes of which one divides the other; or let a relay stand between");
    }
    if (pair.isHybrid()) {
      states(prefill, decode);
    } else if (!pair.isLatent()) {
      heads(prefill, decode);
    }
  }

  private void heads(int prefill, int decode) {
    Optional<Integer> heads = pair.either(Fact.KV_HEADS);
    if (heads.isEmpty()) {
      findings.need(Rule.REPLICATED_HEADS, pair, Fact.KV_HEADS);
      return;
    }
    if (decode < prefill && prefill > heads.get()) {
      findings.refuse(
          Rule.REPLICATED_HEADS,
          "%d ranks for %d KV heads".formatted(prefill, heads.get()),
          decode + " ranks",
          "give the prefill engine at most %d ranks, or the decode engine as many as that; or let a relay stand between"
              .formatted(heads.get()));
    }
    boolean old = pair.release().map(each -> !each.readsWithMoreRanksThanHeads()).orElse(false);
    if (decode > heads.get() && old) {
      findings.refuse(
          Rule.MORE_RANKS_THAN_HEADS,
          prefill + " ranks",
          "%d ranks for %d KV heads".formatted(decode, heads.get()),
          "use vLLM 0.27 or newer, or at most %d decode ranks; or let a relay stand between"
              .formatted(heads.get()));
    }
  }

  private void states(int prefill, int decode) {
    if (pair.release().map(each -> !each.splitsStates()).orElse(false)) {
      findings.refuse(
          Rule.HYBRID_TENSOR_PARALLEL,
          prefill,
          decode,
          "use vLLM 0.21 or newer, or the same tensor-parallel size on both sides; or let a relay stand between");
    } else {
      findings.note(
          Rule.HYBRID_TENSOR_PARALLEL,
          "the documents ask for equal sizes; states are split, but a model with fewer B and C groups"
              + " than ranks was read wrong (vllm#55208)",
          Note.Attention.CANARY);
    }
  }

  private void pipeline() {
    int prefill = pair.prefill(Fact.PIPELINE_PARALLEL).orElse(1);
    int decode = pair.decode(Fact.PIPELINE_PARALLEL).orElse(1);
    boolean pushes =
        pair.prefill(Fact.TRANSFER_MODE).equals(Optional.of(TransferMode.PUSH))
            && pair.release().map(ConnectorRelease::asksForStages).orElse(true);
    if (decode > 1 || (prefill > 1 && !pushes)) {
      findings.refuse(
          Rule.PIPELINE_PARALLEL,
          prefill,
          decode,
          "use tensor parallelism instead; stages work on a prefill engine that pushes, or through a"
              + " relay");
    }
  }

  private void context() {
    int prefill = pair.prefill(Fact.DECODE_CONTEXT_PARALLEL).orElse(1);
    int decode = pair.decode(Fact.DECODE_CONTEXT_PARALLEL).orElse(1);
    int prefillOfPrompts = pair.prefill(Fact.PREFILL_CONTEXT_PARALLEL).orElse(1);
    int decodeOfPrompts = pair.decode(Fact.PREFILL_CONTEXT_PARALLEL).orElse(1);
    boolean any = Math.max(prefill, decode) > 1 || Math.max(prefillOfPrompts, decodeOfPrompts) > 1;
    if (!any) {
      return;
    }
    boolean fits =
        pair.release().map(ConnectorRelease::hasContextParallelism).orElse(true)
            && decodeContextsFit(prefill, decode)
            && (prefillOfPrompts == 1 || Math.max(prefill, decode) == 1)
            && (decodeOfPrompts == 1 || Math.max(prefill, decode) == 1);
    String ofPrefill = "dcp %d, pcp %d".formatted(prefill, prefillOfPrompts);
    String ofDecode = "dcp %d, pcp %d".formatted(decode, decodeOfPrompts);
    if (!fits) {
      findings.refuse(
          Rule.CONTEXT_PARALLEL,
          ofPrefill,
          ofDecode,
          "use context parallelism with MLA models and connector version 8 or newer only, of sizes of"
              + " which one divides the other, and not of both kinds");
    } else if (prefillOfPrompts != decodeOfPrompts) {
      findings.note(
          Rule.CONTEXT_PARALLEL,
          "prefill %s, decode %s".formatted(ofPrefill, ofDecode),
          Note.Attention.CANARY);
    }
  }

  private boolean decodeContextsFit(int prefill, int decode) {
    if (prefill == 1 && decode == 1) {
      return true;
    }
    boolean divide = prefill % decode == 0 || decode % prefill == 0;
    return pair.isLatent() && divide;
  }
}
