package dev.millrace.layout.compatibility;

import dev.millrace.layout.Layout;
import java.util.Optional;

/**
 * What holds where an agent copies blocks into the decode engine's geometry: what the cache means
 * must be equal, and both geometries must be ones for which there are plans. Tensor parallelism,
 * block sizes, layouts and cross-layer blocks may all differ.
 */
final class RelayRules {
  private final Pair pair;
  private final Findings findings;

  private RelayRules(Pair pair, Findings findings) {
    this.pair = pair;
    this.findings = findings;
  }

  static void judge(Pair pair, Findings findings) {
    ModelRules.judge(pair, findings);
    FactorRules.ofAgent(Way.RELAY, pair, findings);
    plan(pair, findings);
  }

  /** Whether there are plans from the one geometry to the other. */
  static void plan(Pair pair, Findings findings) {
    RelayRules rules = new RelayRules(pair, findings);
    findings.need(Rule.TENSOR_PARALLEL, pair, Fact.TENSOR_PARALLEL);
    findings.need(Rule.BLOCK_SIZE, pair, Fact.KERNEL_BLOCK_SIZE);
    rules.shape();
    rules.heads(pair.prefill(), Side.PREFILL);
    rules.heads(pair.decode(), Side.DECODE);
    rules.interiors();
    rules.notPlanned();
  }

  /** Who lays out elements must know how many there are; hashes do not say. */
  private void shape() {
    if (pair.isHybrid()) {
      findings.need(Rule.MODEL_SHAPE, pair, Fact.SHAPE);
    } else {
      findings.need(Rule.MODEL_SHAPE, pair, Fact.KV_HEADS, Fact.HEAD_SIZE, Fact.HIDDEN_LAYERS);
    }
    findings.need(Rule.CACHE_DTYPE, pair, Fact.CACHE_ELEMENT);
    if (pair.differIn(Fact.SHAPE) && !pair.differIn(Fact.CACHE_ELEMENT)) {
      findings.refuse(
          Rule.MODEL_SHAPE,
          pair.prefill(Fact.SHAPE).orElseThrow(),
          pair.decode(Fact.SHAPE).orElseThrow(),
          "serve the same model on both sides");
    }
  }

  private void heads(EngineProfile engine, Side side) {
    int heads = engine.value(Fact.KV_HEADS).orElse(1);
    int ranks = engine.value(Fact.TENSOR_PARALLEL).orElse(1);
    if (heads % ranks != 0 && ranks % heads != 0) {
      String own = "%d KV heads on %d ranks".formatted(heads, ranks);
      findings.refuse(
          Rule.NOT_PLANNED,
          side == Side.PREFILL ? own : "-",
          side == Side.DECODE ? own : "-",
          "choose a tensor-parallel size that divides the KV heads, or that they divide");
    }
  }

  private void interiors() {
    findings.need(Rule.LAYOUT, pair, Fact.LAYOUT);
    boolean asTheyAre =
        !pair.tensorParallelismDiffers()
            && !pair.blocksDiffer()
            && !pair.differIn(Fact.LAYOUT)
            && !pair.differIn(Fact.ATTENTION_BACKEND);
    if (asTheyAre || pair.isLatent()) {
      return;
    }
    if (isUnknown(pair.prefill()) || isUnknown(pair.decode())) {
      findings.refuse(
          Rule.UNKNOWN_INTERIOR,
          FactorRules.said(pair.prefill(Fact.ATTENTION_BACKEND)),
          FactorRules.said(pair.decode(Fact.ATTENTION_BACKEND)),
          "use FLASH_ATTN, FLASHINFER, TRITON_ATTN or CPU_ATTN, whose blocks are known inside; or the"
              + " same geometry on both sides");
    }
    if (pair.either(Fact.KV_SCALES).equals(Optional.of(KvScales.INLINE))) {
      findings.refuse(
          Rule.UNKNOWN_INTERIOR,
          "scales inside the blocks",
          "scales inside the blocks",
          "use the same geometry on both sides: where scales lie inside a block is not known");
    }
    if (pair.prefill(Fact.LAYOUT).equals(Optional.of(Layout.CPU_ATTENTION))
        || pair.decode(Fact.LAYOUT).equals(Optional.of(Layout.CPU_ATTENTION))) {
      findings.note(
          Rule.UNKNOWN_INTERIOR,
          "CPU attention is taken to use vector kernels; with AMX its blocks are others, and no"
              + " handshake tells",
          Note.Attention.CANARY);
    }
  }

  private static boolean isUnknown(EngineProfile engine) {
    return engine
        .value(Fact.ATTENTION_BACKEND)
        .map(backend -> !AttentionBackends.isInteriorKnown(backend))
        .orElse(false);
  }

  private void notPlanned() {
    boolean sparse = pair.either(Fact.ARCHITECTURE).equals(Optional.of(Architecture.SPARSE_MLA));
    if (sparse && pair.blocksDiffer()) {
      refuse(
          "index caches beside the latents",
          "index caches beside the latents",
          "use the same --block-size on both sides: how index caches split is not known");
    }
    contexts();
    if (pair.decode(Fact.PIPELINE_PARALLEL).orElse(1) > 1) {
      findings.refuse(
          Rule.PIPELINE_PARALLEL,
          FactorRules.said(pair.prefill(Fact.PIPELINE_PARALLEL)),
          FactorRules.said(pair.decode(Fact.PIPELINE_PARALLEL)),
          "use tensor parallelism on the decode engine: its connector reads without stages only");
    }
    if (isPaged(pair.prefill()) || isPaged(pair.decode())) {
      refuse(
          FactorRules.said(pair.prefill(Fact.KERNEL_BLOCKS_PER_BLOCK)) + " kernel blocks a block",
          FactorRules.said(pair.decode(Fact.KERNEL_BLOCKS_PER_BLOCK)) + " kernel blocks a block",
          "choose a --block-size that the attention kernel takes as it is");
    }
  }

  private static boolean isPaged(EngineProfile engine) {
    return engine.value(Fact.KERNEL_BLOCKS_PER_BLOCK).orElse(1) > 1;
  }

  private void contexts() {
    int prefill = contexts(pair.prefill());
    int decode = contexts(pair.decode());
    if (Math.max(prefill, decode) > 1) {
      refuse(
          prefill == 1 ? "no context parallelism" : "context parallelism",
          decode == 1 ? "no context parallelism" : "context parallelism",
          "use tensor parallelism: there are no plans for context parallelism yet");
    }
  }

  private static int contexts(EngineProfile engine) {
    return Math.max(
        engine.value(Fact.DECODE_CONTEXT_PARALLEL).orElse(1),
        engine.value(Fact.PREFILL_CONTEXT_PARALLEL).orElse(1));
  }

  private void refuse(String prefill, String decode, String remedy) {
    findings.refuse(Rule.NOT_PLANNED, prefill, decode, remedy);
  }
}
