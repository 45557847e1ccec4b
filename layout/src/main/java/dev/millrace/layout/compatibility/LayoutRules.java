package dev.millrace.layout.compatibility;

import dev.millrace.layout.AxisName;
import dev.millrace.layout.Layout;
import java.util.Optional;

/** The order of the axes inside blocks. A latent has one head, so there is nothing to order. */
final class LayoutRules {
  private final Pair pair;
  private final Findings findings;

  private LayoutRules(Pair pair, Findings findings) {
    this.pair = pair;
    this.findings = findings;
  }

  static void judge(Pair pair, Findings findings) {
    LayoutRules rules = new LayoutRules(pair, findings);
    rules.states();
    if (pair.differIn(Fact.CROSS_LAYER_BLOCKS)) {
      rules.crossLayer();
    }
    if (pair.isLatent()) {
      return;
    }
    findings.need(Rule.LAYOUT, pair, Fact.LAYOUT);
    if (pair.bothKnow(Fact.LAYOUT)) {
      rules.order();
      rules.heads();
      rules.repacking();
    }
  }

  private Layout prefill() {
    return pair.prefill(Fact.LAYOUT).orElseThrow();
  }

  private Layout decode() {
    return pair.decode(Fact.LAYOUT).orElseThrow();
  }

  /**
   * In one block or apart: a factor of the hash up to version 8, since then a matter of layouts,
   * which must be the same. Latents in equal blocks are spared that, as regions have strides.
   */
  private void crossLayer() {
    boolean strides = pair.release().map(ConnectorRelease::hasStrides).orElse(false);
    if (strides && pair.isLatent() && !pair.blocksDiffer()) {
      findings.note(
          Rule.CROSS_LAYER_BLOCKS,
          "all layers are in one block on one side only, which strides can express",
          Note.Attention.CANARY);
      return;
    }
    findings.refuse(
        Rule.CROSS_LAYER_BLOCKS,
        CrossLayerRemedy.said(pair.prefill()),
        CrossLayerRemedy.said(pair.decode()),
        (strides ? Rule.LAYOUT : Rule.CROSS_LAYER_BLOCKS).source(),
        CrossLayerRemedy.of(pair));
  }

  private void order() {
    if (prefill().isCrossLayer() != decode().isCrossLayer()
        || prefill().wireName().equals(decode().wireName())) {
      return;
    }
    if (permutes()) {
      findings.note(
          Rule.LAYOUT,
          "the decode engine permutes HND blocks into its NHD, which vLLM calls experimental",
          Note.Attention.CANARY);
    } else {
      findings.refuse(
          Rule.LAYOUT,
          prefill().shortName(),
          decode().shortName(),
          "set VLLM_KV_CACHE_LAYOUT=HND on both sides; or let a relay stand between");
    }
  }

  private boolean permutes() {
    boolean hndIntoNhd = prefill() == Layout.HND && decode() == Layout.NHD;
    return hndIntoNhd && pair.decode(Fact.PERMUTES_LOCAL_KV).orElse(false) && !needsHybridCaches();
  }

  /** Several KV-cache groups under the hybrid manager. */
  private boolean needsHybridCaches() {
    return pair.decode(Fact.HYBRID_CACHE_MANAGER).orElse(true) && pair.groups().orElse(1) > 1;
  }

  /**
   * Unequal tensor parallelism splits blocks by heads, unless every prefill rank has all of one.
   */
  private void heads() {
    int ranks = pair.prefill(Fact.TENSOR_PARALLEL).orElse(1);
    boolean replicated = pair.either(Fact.KV_HEADS).map(heads -> ranks > heads).orElse(false);
    if (pair.tensorParallelismDiffers()
        && !replicated
        && !isHeadOutermost(decode())
        && !permutes()) {
      findings.refuse(
          Rule.HEADS_NOT_CONTIGUOUS,
          "%s on %d ranks".formatted(prefill().shortName(), ranks),
          "%s on %d ranks"
              .formatted(decode().shortName(), pair.decode(Fact.TENSOR_PARALLEL).orElseThrow()),
          "set VLLM_KV_CACHE_LAYOUT=HND on both sides, or use the same tensor-parallel size; or let a"
              + " relay stand between");
    }
  }

  private static boolean isHeadOutermost(Layout layout) {
    AxisName first =
        layout.order().getFirst() == AxisName.KV
            ? layout.order().get(1)
            : layout.order().getFirst();
    return first == AxisName.HEAD || !layout.order().contains(AxisName.HEAD);
  }

  private void repacking() {
    boolean onCpu = pair.decode(Fact.ATTENTION_BACKEND).equals(Optional.of(AttentionBackends.CPU));
    if (!onCpu || !pair.differIn(Fact.ATTENTION_BACKEND)) {
      return;
    }
    if (needsHybridCaches()) {
      findings.refuse(
          Rule.CPU_REPACKING,
          pair.prefill(Fact.ATTENTION_BACKEND).orElseThrow(),
          AttentionBackends.CPU,
          "use the same --attention-backend on both sides, or --disable-hybrid-kv-cache-manager on both");
    } else {
      findings.note(
          Rule.CPU_REPACKING,
          "the decode engine repacks what comes from another backend, which vLLM calls experimental",
          Note.Attention.CANARY);
    }
  }

  private void states() {
    if (pair.isHybrid() && (isNotSplittable(pair.prefill()) || isNotSplittable(pair.decode()))) {
      findings.refuse(
          Rule.CONV_STATE_LAYOUT,
          FactorRules.said(pair.prefill(Fact.CONV_STATE_LAYOUT)),
          FactorRules.said(pair.decode(Fact.CONV_STATE_LAYOUT)),
          "set VLLM_SSM_CONV_STATE_LAYOUT=DS on both sides");
    }
  }

  private static boolean isNotSplittable(EngineProfile engine) {
    return engine.value(Fact.CONV_STATE_LAYOUT).map(layout -> !layout.equals("DS")).orElse(false);
  }
}
