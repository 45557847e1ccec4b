package dev.millrace.layout.compatibility;

import dev.millrace.layout.CompatibilityHash.Difference;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * The factors of the compatibility hash.
 *
 * <p>For engines: equal hashes prove every factor at once, and unequal ones refuse the pair,
 * whatever else is known. Where a hash is not known the factors are compared one by one. A decode
 * engine that does not insist on equal hashes is spared what only stands for something else, never
 * what changes bytes.
 *
 * <p>For agents, which show the decode engine its own hash: {@link HashFactor#mayDiffer}.
 */
final class FactorRules {
  private FactorRules() {}

  static void ofConnector(Pair pair, Findings findings) {
    int version = pair.release().map(ConnectorRelease::version).orElse(ConnectorRelease.NEWEST);
    boolean insists = pair.decode(Fact.ENFORCES_HASH).orElse(true);
    for (HashFactor factor : HashFactor.values()) {
      ConnectorFactor.judge(factor, factor.isIn(version), insists, pair, findings);
    }
    if (pair.hashes() == Hashes.UNEQUAL) {
      hash(insists, pair, findings);
    } else if (!insists) {
      findings.note(
          Rule.COMPATIBILITY_HASH,
          "the decode engine does not compare hashes (enforce_handshake_compat is false)",
          Note.Attention.READ);
    }
    if (pair.release().isEmpty()) {
      // It decides which rules hold, also where the hashes are equal.
      findings.need(Rule.CONNECTOR_VERSION, pair, Fact.CONNECTOR_VERSION);
    }
  }

  private static void hash(boolean insists, Pair pair, Findings findings) {
    HashExplanation explanation = HashExplanation.of(pair.prefill(), pair.decode());
    String why = explain(explanation);
    if (insists) {
      findings.refuse(
          Rule.COMPATIBILITY_HASH,
          pair.prefill(Fact.HASH).orElseThrow(),
          pair.decode(Fact.HASH).orElseThrow(),
          why + "; make both engines agree on that, or let an agent stand between");
    } else {
      findings.note(
          Rule.COMPATIBILITY_HASH,
          "the hashes differ, and the decode engine does not mind: " + why,
          Note.Attention.CANARY);
    }
  }

  private static String explain(HashExplanation explanation) {
    return switch (explanation) {
      case HashExplanation.Same _ -> "the hashes are equal";
      case HashExplanation.Differs(List<Difference> factors) ->
          "they differ in "
              + factors.stream()
                  .map(each ->
                      "%s (prefill %s, decode %s)"
                          .formatted(each.factor(), each.ours(), each.theirs()))
                  .collect(Collectors.joining(", "));
      case HashExplanation.Unexplained(String why) -> "what differs is not found: " + why;
    };
  }

  static void ofAgent(Way way, Pair pair, Findings findings) {
    for (HashFactor factor : HashFactor.values()) {
      AgentFactor.judge(factor, way, pair, findings);
    }
  }

  /** The rule that a factor is about. */
  static Rule rule(HashFactor factor) {
    return switch (factor) {
      case MODEL -> Rule.MODEL;
      case NUM_KV_HEADS, HEAD_SIZE, NUM_HIDDEN_LAYERS -> Rule.MODEL_SHAPE;
      case DTYPE -> Rule.DTYPE;
      case CACHE_DTYPE -> Rule.CACHE_DTYPE;
      case VLLM_VERSION -> Rule.VLLM_VERSION;
      case NIXL_CONNECTOR_VERSION -> Rule.CONNECTOR_VERSION;
      case ATTN_BACKEND_NAME -> Rule.ATTENTION_BACKEND;
      case TRANSFER_MODE -> Rule.TRANSFER_MODE;
      case SPECULATIVE_CONFIG -> Rule.SPECULATION;
      case IS_HMA_ENABLED -> Rule.HYBRID_CACHE_MANAGER;
      case CROSS_LAYERS_BLOCKS -> Rule.CROSS_LAYER_BLOCKS;
    };
  }

  /** How to make both engines agree. */
  static String remedy(HashFactor factor, Pair pair) {
    return switch (factor) {
      case MODEL ->
          "start both engines with the same model string: a path and a name of one model are not"
              + " the same; or let an agent stand between";
      case NUM_KV_HEADS, HEAD_SIZE, NUM_HIDDEN_LAYERS -> "serve the same model on both sides";
      case DTYPE -> "start both engines with the same --dtype";
      case CACHE_DTYPE -> "start both engines with the same --kv-cache-dtype";
      case VLLM_VERSION ->
          "run one vLLM version on both sides; during an upgrade pair old with old and new with new";
      case NIXL_CONNECTOR_VERSION ->
          "run vLLM releases with one NIXL connector version on both sides";
      case ATTN_BACKEND_NAME -> "start both engines with the same --attention-backend";
      case TRANSFER_MODE -> "use NixlConnector on both sides, or NixlPushConnector on both";
      case SPECULATIVE_CONFIG -> "start both engines with the same --speculative-config";
      case IS_HMA_ENABLED ->
          "start both engines with --disable-hybrid-kv-cache-manager, or both without it and with"
              + " connectors that support it";
      case CROSS_LAYERS_BLOCKS -> CrossLayerRemedy.of(pair);
    };
  }

  /** Values of a factor on both sides. */
  static String said(Optional<?> value) {
    return value.map(Object::toString).orElse("not known");
  }
}
