package dev.millrace.layout.compatibility;

import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/** What to do where one engine keeps all layers in one block and the other does not. */
final class CrossLayerRemedy {
  private CrossLayerRemedy() {}

  static String of(Pair pair) {
    boolean prefillHoldsAll = pair.prefill(Fact.CROSS_LAYER_BLOCKS).orElse(false);
    EngineProfile perLayer = prefillHoldsAll ? pair.decode() : pair.prefill();
    return "leave %s off on both sides; or make it take effect on both: %s"
        .formatted(EffectiveConnector.CROSS_LAYER_FLAG, onPerLayerSide(perLayer));
  }

  /** An engine's blocks, with those who keep them from holding all layers. */
  static String said(EngineProfile engine) {
    boolean all = engine.value(Fact.CROSS_LAYER_BLOCKS).orElse(false);
    String regions =
        engine
            .value(Fact.BLOCK_LENS)
            .map(lens -> " in %d regions".formatted(lens.size()))
            .orElse("");
    List<EffectiveConnector.Objection> objections = objections(engine);
    if (all || objections.isEmpty()) {
      return (all ? "all layers in one block" : "a block per layer") + regions;
    }
    return "a block per layer%s, because %s"
        .formatted(
            regions,
            objections.stream()
                .map(EffectiveConnector.Objection::toString)
                .collect(Collectors.joining(" and ")));
  }

  private static String onPerLayerSide(EngineProfile engine) {
    List<EffectiveConnector.Objection> objections = objections(engine);
    if (objections.isEmpty()) {
      return "it needs FLASH_ATTN, FLASHINFER or TRITON_ATTN, the HND layout and one KV-cache group";
    }
    return objections.stream()
        .map(each ->
            each.why().startsWith("does not set")
                ? "set it for " + each.connector()
                : "replace %s by a connector that prefers cross-layer blocks"
                    .formatted(each.connector()))
        .collect(Collectors.joining(", and "));
  }

  private static List<EffectiveConnector.Objection> objections(EngineProfile engine) {
    Optional<ConnectorConfig> config = engine.value(Fact.CONNECTOR);
    return config.map(EffectiveConnector::of).map(EffectiveConnector::objections).orElse(List.of());
  }
}
