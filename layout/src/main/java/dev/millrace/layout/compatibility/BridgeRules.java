package dev.millrace.layout.compatibility;

import dev.millrace.layout.Layout;
import java.util.Optional;
import java.util.Set;

/**
 * What holds where an agent answers the decode engine's handshake with the prefill engine's memory
 * described in the decode engine's terms.
 *
 * <p>Three things can be said of memory that its owner says otherwise: another hash; one layer of a
 * cross-layer block, as a region with a stride (connector versions that have strides); and parts of
 * a block, as blocks, where tokens are outermost and blocks follow each other without a gap. All
 * else is judged by the engine's own rules, for the prefill engine as it is described.
 */
final class BridgeRules {
  /** What the agent's answer says otherwise than the prefill engine would. */
  private static final Set<Fact<?>> SAID_ANEW =
      Set.of(
          Fact.CONNECTOR,
          Fact.LAYOUT,
          Fact.CROSS_LAYER_BLOCKS,
          Fact.BLOCK_LENS,
          Fact.BLOCK_SIZE,
          Fact.KERNEL_BLOCK_SIZE,
          Fact.KERNEL_BLOCKS_PER_BLOCK);

  private final Pair pair;
  private final Findings findings;
  private final EngineProfile.Builder described;

  private BridgeRules(Pair pair, Findings findings) {
    this.pair = pair;
    this.findings = findings;
    this.described = EngineProfile.named(pair.prefill().name());
  }

  static void judge(Pair pair, Findings findings) {
    ModelRules.judge(pair, findings);
    FactorRules.ofAgent(Way.BRIDGE, pair, findings);
    findings.need(Rule.CONNECTOR_VERSION, pair, Fact.CONNECTOR_VERSION);
    AddressRules.engineIds(pair, findings);
    Pair asDescribed = new BridgeRules(pair, findings).describe();
    EngineRules.handshake(asDescribed, findings);
  }

  private Pair describe() {
    for (Fact<?> fact : pair.prefill().facts().keySet()) {
      if (!SAID_ANEW.contains(fact)) {
        copy(fact);
      }
    }
    Optional<Layout> layout = layout();
    described.probe(Fact.LAYOUT, layout, "the bridge");
    described.probe(Fact.CROSS_LAYER_BLOCKS, layout.map(Layout::isCrossLayer), "the bridge");
    described.probe(Fact.KERNEL_BLOCK_SIZE, kernelBlock(), "the bridge");
    return new Pair(described.build(), pair.decode());
  }

  private <T> void copy(Fact<T> fact) {
    pair.prefill().known(fact).ifPresent(own -> described.probe(fact, own.value(), own.where()));
  }

  private Optional<Interior> interior(EngineProfile engine) {
    Optional<Integer> heads = headsPerRank(engine);
    int parts = pair.isLatent() ? 1 : 2;
    return engine
        .value(Fact.LAYOUT)
        .flatMap(layout -> heads.map(count -> Interior.of(layout, count, parts)));
  }

  private Optional<Integer> headsPerRank(EngineProfile engine) {
    if (pair.isLatent()) {
      return Optional.of(1);
    }
    return pair.either(Fact.KV_HEADS)
        .flatMap(
            heads -> engine.value(Fact.TENSOR_PARALLEL).map(ranks -> Math.max(1, heads / ranks)));
  }

  /** The layout that the prefill engine can be said to have: the decode engine's if possible. */
  private Optional<Layout> layout() {
    Optional<Interior> prefill = interior(pair.prefill());
    Optional<Interior> decode = interior(pair.decode());
    if (prefill.isEmpty() || decode.isEmpty()) {
      return pair.prefill(Fact.LAYOUT);
    }
    if (prefill.equals(decode)) {
      return pair.decode(Fact.LAYOUT);
    }
    if (!prefill.get().holdsAllLayers() || decode.get().holdsAllLayers()) {
      return pair.prefill(Fact.LAYOUT);
    }
    return prefill.get().isLayerContiguous() && hasStrides()
        ? layerByLayer(prefill.get().ofOneLayer(), decode.get())
        : refuseLayers();
  }

  private Optional<Layout> layerByLayer(Interior oneLayer, Interior decode) {
    if (oneLayer.equals(decode)) {
      return pair.decode(Fact.LAYOUT);
    }
    // With one head per rank all of them are ordered alike.
    boolean tokensFirst = pair.prefill(Fact.LAYOUT).equals(Optional.of(Layout.CROSS_LAYER_LNH));
    return Optional.of(tokensFirst ? Layout.NHD : Layout.HND);
  }

  private Optional<Layout> refuseLayers() {
    findings.refuse(
        Rule.NOT_DESCRIBABLE,
        "%s, connector version %s"
            .formatted(
                pair.prefill(Fact.LAYOUT).orElseThrow().shortName(),
                FactorRules.said(pair.prefill(Fact.CONNECTOR_VERSION))),
        pair.decode(Fact.LAYOUT).orElseThrow().shortName(),
        "let a relay stand between: one layer of a block must be contiguous on the prefill engine, and"
            + " the connectors must have strides (version 9, vLLM 0.29)");
    return pair.decode(Fact.LAYOUT);
  }

  private boolean hasStrides() {
    return pair.prefill(Fact.CONNECTOR_VERSION)
            .map(version -> new ConnectorRelease(version).hasStrides())
            .orElse(false)
        && pair.decode(Fact.CONNECTOR_VERSION)
            .map(version -> new ConnectorRelease(version).hasStrides())
            .orElse(false);
  }

  /** The block size that the prefill engine can be said to have. */
  private Optional<Integer> kernelBlock() {
    Optional<Integer> prefill = pair.prefill(Fact.KERNEL_BLOCK_SIZE);
    Optional<Integer> decode = pair.decode(Fact.KERNEL_BLOCK_SIZE);
    boolean parts =
        prefill.isPresent()
            && decode.isPresent()
            && prefill.get() > decode.get()
            && prefill.get() % decode.get() == 0;
    boolean contiguous =
        interior(pair.prefill())
            .map(interior -> interior.isTokenOutermost() && !interior.holdsAllLayers())
            .orElse(false);
    if (parts && contiguous && !pair.isHybrid()) {
      findings.note(
          Rule.BLOCK_SIZE,
          "blocks of %d tokens are described as blocks of %d"
              .formatted(prefill.get(), decode.get()),
          Note.Attention.CANARY);
      return decode;
    }
    return prefill;
  }
}
