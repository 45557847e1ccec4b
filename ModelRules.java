package dev.millrace.layout.compatibility;

import dev.millrace.layout.CacheGroup;
import dev.millrace.layout.ModelShape;
import java.util.ArrayList;
import java.util.List;

/**
 * What the blocks must mean on both sides, however they are moved. Most of it is in vLLM's hash;
 * here it is what a bridge or relay, which shows a decode engine its own hash, must look at itself.
 */
final class ModelRules {
  private static final String SAME_MODEL = "start both engines with the same model";

  private ModelRules() {}

  static void judge(Pair pair, Findings findings) {
    for (Side side : Side.values()) {
      pair.of(side)
          .find(Fact.ARCHITECTURE)
          .ifPresent(architecture -> supported(pair, side, architecture, findings));
    }
    findings.ifBoth(Fact.MODEL_SHAPE, (p, d) -> shapes(p, d, findings));
    findings.ifBoth(Fact.MODEL_REVISION, (p, d) -> same(Rule.MODEL_REVISION, p, d, findings));
    findings.ifBoth(Fact.ROPE, (p, d) -> same(Rule.ROPE, p, d, findings));
    quantisation(pair, findings);
  }

  private static void supported(
      Pair pair, Side side, Architecture architecture, Findings findings) {
    switch (architecture) {
      case ENCODER_DECODER ->
          findings.refuse(
              Rule.ENCODER_DECODER,
              "the connector does not support encoder-decoder models",
              pair.prefill().find(Fact.ARCHITECTURE).map(FactText::of).orElse("unknown"),
              pair.decode().find(Fact.ARCHITECTURE).map(FactText::of).orElse("unknown"),
              Citations.MATRIX,
              "serve this model without disaggregation, by a pool of engines that do both phases");
      case MULTIMODAL ->
          findings.miss(
              side,
              Fact.ARCHITECTURE,
              Rule.MODEL,
              "nobody has validated disaggregated multimodal models");
      case DENSE, MLA, SPARSE_MLA, HYBRID_SSM, MOE -> {}
    }
  }

  private static void shapes(ModelShape prefill, ModelShape decode, Findings findings) {
    if (prefill.element() != decode.element()) {
      findings.refuse(
          Rule.CACHE_DTYPE,
          "the caches' elements are of different types",
          prefill.element().shortName(),
          decode.element().shortName(),
          Citations.HASH,
          "start both engines with the same --dtype and --kv-cache-dtype");
    }
    String ours = text(prefill);
    String theirs = text(decode);
    if (!ours.equals(theirs)) {
      findings.refuse(
          Rule.MODEL_SHAPE,
          "the caches keep different models",
          ours,
          theirs,
          Citations.HASH,
          SAME_MODEL);
    }
  }

  private static String text(ModelShape model) {
    List<String> groups = new ArrayList<>();
    for (CacheGroup group : model.groups()) {
      groups.add(
          switch (group) {
            case CacheGroup.Full full -> full.layerCount() + " layers";
            case CacheGroup.SlidingWindow window ->
                "%d layers with a window of %d".formatted(window.layerCount(), window.windowTokens());
            case CacheGroup.StateSpace state -> state.layerCount() + " state-space layers";
          });
    }
    String heads =
        model.isMla()
            ? "a latent of %d".formatted(model.headSize())
            : "%d KV heads of %d".formatted(model.kvHeads(), model.headSize());
    return String.join(" and ", groups) + ", " + heads;
  }

  private static void same(Rule rule, String prefill, String decode, Findings findings) {
    if (!prefill.equals(decode)) {
      findings.refuse(
          rule,
          "the engines load the same name and mean different things; vLLM's hash does not see it",
          prefill,
          decode,
          Citations.HASH + " (not among its factors)",
          SAME_MODEL + ", revision and overrides included");
    }
  }

  private static void quantisation(Pair pair, Findings findings) {
    String prefill = pair.prefill().find(Fact.QUANTISATION).map(FactText::of).orElse("unknown");
    String decode = pair.decode().find(Fact.QUANTISATION).map(FactText::of).orElse("unknown");
    String dynamic = FactText.of(KvQuantisation.DYNAMIC);
    String packed = FactText.of(KvQuantisation.PACKED);
    if (prefill.equals(dynamic) || decode.equals(dynamic)) {
      findings.refuse(
          Rule.KV_QUANTISATION,
          "scales that are computed at run time are not transferred with the blocks",
          prefill,
          decode,
          Citations.MATRIX,
          "use scales from the checkpoint, or --kv-cache-dtype auto");
    } else if (prefill.equals(packed) != decode.equals(packed)
        && !prefill.equals("unknown")
        && !decode.equals("unknown")) {
      findings.refuse(
          Rule.KV_QUANTISATION,
          "one side keeps scales inside its blocks, the other does not",
          prefill,
          decode,
          Citations.MATRIX,
          "start both engines with the same --kv-cache-dtype");
    }
  }
}
