package dev.millrace.layout.compatibility;

import java.util.Optional;

/** Whether both engines are what they are said to be, and run a model that can be split at all. */
final class ModelRules {
  private ModelRules() {}

  static void judge(Pair pair, Findings findings) {
    contradictions(pair.prefill(), Side.PREFILL, findings);
    contradictions(pair.decode(), Side.DECODE, findings);
    connector(pair, findings);
    architecture(pair, findings);
    same(
        Rule.MODEL_REVISION,
        Fact.MODEL_REVISION,
        "serve one revision on both sides",
        pair,
        findings);
    same(
        Rule.ROPE,
        Fact.ROPE,
        "give both engines the same config.json and overrides",
        pair,
        findings);
    scales(pair, findings);
  }

  private static void contradictions(EngineProfile engine, Side side, Findings findings) {
    for (Disagreement each : engine.disagreements()) {
      String said = "%s (%s)".formatted(each.declared().value(), each.declared().where());
      String found = "%s (%s)".formatted(each.probed().value(), each.probed().where());
      String own = "%s is %s and %s".formatted(each.fact(), said, found);
      findings.refuse(
          Rule.CONTRADICTION,
          side == Side.PREFILL ? own : "-",
          side == Side.DECODE ? own : "-",
          "correct the declaration of %s, or restart the engine as it is declared"
              .formatted(each.fact()));
    }
  }

  private static void connector(Pair pair, Findings findings) {
    if (lacksNixl(pair.prefill()) || lacksNixl(pair.decode())) {
      findings.refuse(
          Rule.NIXL_CONNECTOR,
          pair.prefill(Fact.CONNECTOR).map(ConnectorConfig::toString).orElse("not known"),
          pair.decode(Fact.CONNECTOR).map(ConnectorConfig::toString).orElse("not known"),
          "start both engines with a NixlConnector in --kv-transfer-config, alone or in a"
              + " MultiConnector");
    }
  }

  private static boolean lacksNixl(EngineProfile engine) {
    return engine
        .value(Fact.CONNECTOR)
        .map(config -> EffectiveConnector.of(config).nixl().isEmpty())
        .orElse(false);
  }

  private static void architecture(Pair pair, Findings findings) {
    Optional<Architecture> prefill = pair.prefill(Fact.ARCHITECTURE);
    Optional<Architecture> decode = pair.decode(Fact.ARCHITECTURE);
    Optional<Architecture> encoderDecoder = Optional.of(Architecture.ENCODER_DECODER);
    if (prefill.equals(encoderDecoder) || decode.equals(encoderDecoder)) {
      findings.refuse(
          Rule.ARCHITECTURE,
          said(prefill),
          said(decode),
          "serve this model on one engine: the cache of its encoder is not handed over");
    } else if (pair.differIn(Fact.ARCHITECTURE)) {
      findings.refuse(
          Rule.ARCHITECTURE, said(prefill), said(decode), "serve the same model on both sides");
    }
    if (prefill.or(() -> decode).equals(Optional.of(Architecture.MULTIMODAL))) {
      findings.need(
          Rule.ARCHITECTURE,
          Side.PREFILL,
          "validation of hand-offs for multimodal models",
          "serve this model on one engine, or let a canary decide");
    }
  }

  private static String said(Optional<Architecture> architecture) {
    return architecture.map(Architecture::toString).orElse("not known");
  }

  private static void same(Rule rule, Fact<?> fact, String remedy, Pair pair, Findings findings) {
    if (pair.differIn(fact)) {
      findings.refuse(
          rule, pair.prefill(fact).orElseThrow(), pair.decode(fact).orElseThrow(), remedy);
    }
  }

  private static void scales(Pair pair, Findings findings) {
    Optional<KvScales> prefill = pair.prefill(Fact.KV_SCALES);
    Optional<KvScales> decode = pair.decode(Fact.KV_SCALES);
    Optional<KvScales> dynamic = Optional.of(KvScales.DYNAMIC);
    boolean sameType = !pair.differIn(Fact.CACHE_DTYPE);
    if (prefill.equals(dynamic) || decode.equals(dynamic)) {
      findings.refuse(
          Rule.KV_SCALES,
          said(prefill, "not known"),
          said(decode, "not known"),
          "use a checkpoint with KV scales and no --calculate-kv-scales: scales computed at run time"
              + " are not handed over");
    } else if (sameType && pair.differIn(Fact.KV_SCALES)) {
      findings.refuse(
          Rule.KV_SCALES,
          said(prefill, "not known"),
          said(decode, "not known"),
          "load the same checkpoint with the same --kv-cache-dtype on both sides");
    }
  }

  private static String said(Optional<?> value, String otherwise) {
    return value.map(Object::toString).orElse(otherwise);
  }
}
