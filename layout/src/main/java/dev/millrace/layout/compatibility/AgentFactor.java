package dev.millrace.layout.compatibility;

import dev.millrace.layout.CompatibilityHash.Speculation;
import java.util.Optional;
import java.util.Set;

/** One factor of the hash, where an agent shows the decode engine that engine's own hash. */
final class AgentFactor {
  private final HashFactor factor;
  private final Way way;
  private final Pair pair;
  private final Findings findings;

  private AgentFactor(HashFactor factor, Way way, Pair pair, Findings findings) {
    this.factor = factor;
    this.way = way;
    this.pair = pair;
    this.findings = findings;
  }

  static void judge(HashFactor factor, Way way, Pair pair, Findings findings) {
    AgentFactor judge = new AgentFactor(factor, way, pair, findings);
    switch (factor) {
      case MODEL -> judge.model();
      case NUM_KV_HEADS, HEAD_SIZE, NUM_HIDDEN_LAYERS, DTYPE -> judge.equal();
      case CACHE_DTYPE -> judge.cacheDtype();
      case VLLM_VERSION -> judge.vllmVersion();
      case NIXL_CONNECTOR_VERSION -> judge.connectorVersion();
      case ATTN_BACKEND_NAME -> judge.backend();
      case TRANSFER_MODE -> judge.pull();
      case SPECULATIVE_CONFIG -> judge.speculation();
      case IS_HMA_ENABLED -> judge.hybridCaches();
      case CROSS_LAYERS_BLOCKS -> {
        // A matter of geometry: BridgeRules, RelayRules.
      }
    }
  }

  private void equal() {
    if (pair.differIn(factor.fact())) {
      refuse(FactorRules.remedy(factor, pair));
    } else {
      needUnlessHashed();
    }
  }

  /** Equal strings are what vLLM asks for; unequal ones need proof of what they stand for. */
  private void model() {
    if (pair.differIn(Fact.MODEL)) {
      findings.need(Rule.MODEL_REVISION, pair, Fact.MODEL_REVISION);
      findings.need(Rule.ROPE, pair, Fact.ROPE);
      findings.note(
          Rule.MODEL,
          "prefill serves %s, decode %s; declared revision and rotary embedding are equal"
              .formatted(prefill(), decode()),
          Note.Attention.CANARY);
      return;
    }
    needUnlessHashed();
    onBothOrNone(Rule.MODEL_REVISION, Fact.MODEL_REVISION);
    onBothOrNone(Rule.ROPE, Fact.ROPE);
  }

  /** What one side is known to run must be known of the other one. */
  private void onBothOrNone(Rule rule, Fact<?> fact) {
    if (pair.prefill(fact).isPresent() || pair.decode(fact).isPresent()) {
      findings.need(rule, pair, fact);
    } else {
      findings.note(
          rule, "nobody says the %s; the canary judges".formatted(fact), Note.Attention.CANARY);
    }
  }

  private void cacheDtype() {
    if (!pair.differIn(Fact.CACHE_DTYPE)) {
      needUnlessHashed();
      return;
    }
    boolean sameType =
        pair.bothKnow(Fact.CACHE_ELEMENT)
            && !pair.differIn(Fact.CACHE_ELEMENT)
            && !pair.differIn(Fact.KV_SCALES);
    if (sameType) {
      findings.note(
          Rule.CACHE_DTYPE,
          "%s and %s are the same type here".formatted(prefill(), decode()),
          Note.Attention.READ);
    } else {
      refuse(FactorRules.remedy(factor, pair) + ": agents move elements, they do not convert them");
    }
  }

  private void vllmVersion() {
    if (!pair.differIn(Fact.VLLM_VERSION)) {
      needUnlessHashed();
    } else if (vouchedFor(pair.prefill(), pair.decode())
        || vouchedFor(pair.decode(), pair.prefill())) {
      findings.note(
          Rule.VLLM_VERSION,
          "vLLM %s and %s are declared to be interchangeable".formatted(prefill(), decode()),
          Note.Attention.CANARY);
    } else {
      refuse(
          FactorRules.remedy(factor, pair)
              + "; or declare them in %s, if you know that they keep blocks alike"
                  .formatted(Fact.INTERCHANGEABLE_VERSIONS));
    }
  }

  private static boolean vouchedFor(EngineProfile engine, EngineProfile other) {
    Set<String> versions = engine.value(Fact.INTERCHANGEABLE_VERSIONS).orElse(Set.of());
    return other.value(Fact.VLLM_VERSION).map(versions::contains).orElse(false);
  }

  private void connectorVersion() {
    if (!pair.differIn(Fact.CONNECTOR_VERSION)) {
      needUnlessHashed();
      return;
    }
    boolean bothCanBeBridged =
        pair.prefill(Fact.CONNECTOR_VERSION).map(AgentFactor::canBeBridged).orElse(false)
            && pair.decode(Fact.CONNECTOR_VERSION).map(AgentFactor::canBeBridged).orElse(false);
    if (way == Way.BRIDGE && !bothCanBeBridged) {
      refuse(
          "let a relay stand between: the decode engine's notifications and strides go to the prefill"
              + " engine as they are");
    }
  }

  private static boolean canBeBridged(int version) {
    ConnectorRelease release = new ConnectorRelease(version);
    return release.hasStrides() && release.countsReaders();
  }

  private void backend() {
    if (!pair.differIn(Fact.ATTENTION_BACKEND)) {
      needUnlessHashed();
      return;
    }
    boolean known =
        pair.prefill(Fact.ATTENTION_BACKEND).map(AttentionBackends::isInteriorKnown).orElse(false)
            && pair.decode(Fact.ATTENTION_BACKEND)
                .map(AttentionBackends::isInteriorKnown)
                .orElse(false)
            && pair.bothKnow(Fact.LAYOUT);
    if (known) {
      findings.note(
          Rule.ATTENTION_BACKEND,
          "%s and %s lay out blocks in known ways".formatted(prefill(), decode()),
          Note.Attention.CANARY);
    } else {
      refuse(
          FactorRules.remedy(factor, pair)
              + ": what blocks of one of them look like inside is not known");
    }
  }

  private void pull() {
    Optional<TransferMode> push = Optional.of(TransferMode.PUSH);
    if (pair.prefill(Fact.TRANSFER_MODE).equals(push)
        || pair.decode(Fact.TRANSFER_MODE).equals(push)) {
      refuse("use NixlConnector on both sides: agents speak the pull protocol");
    }
  }

  private void speculation() {
    if (!draft(pair.prefill()).equals(draft(pair.decode()))) {
      refuse(FactorRules.remedy(factor, pair));
    }
  }

  private static Optional<Speculation> draft(EngineProfile engine) {
    return engine.value(Fact.SPECULATION).flatMap(SpeculativeSetup::draft);
  }

  private void hybridCaches() {
    if (!pair.differIn(Fact.HYBRID_CACHE_MANAGER)) {
      return;
    }
    Optional<Integer> groups = pair.groups();
    if (groups.isEmpty()) {
      findings.need(Rule.HYBRID_CACHE_MANAGER, pair, Fact.SHAPE);
    } else if (groups.get() > 1) {
      refuse(FactorRules.remedy(factor, pair));
    }
  }

  private void needUnlessHashed() {
    if (pair.hashes() != Hashes.EQUAL) {
      findings.need(FactorRules.rule(factor), pair, factor.fact());
    }
  }

  private void refuse(String remedy) {
    findings.refuse(FactorRules.rule(factor), prefill(), decode(), remedy);
  }

  private String prefill() {
    return FactorRules.said(pair.prefill(factor.fact()));
  }

  private String decode() {
    return FactorRules.said(pair.decode(factor.fact()));
  }
}
