package dev.millrace.layout.compatibility;

import java.util.Optional;

/**
 * vLLM's compatibility hash. Where both hashes are known and equal, all factors are. Else what is
 * known of the factors is compared one by one, so that the reasons are named and not only the
 * difference.
 */
final class HashRules {
  private HashRules() {}

  static void judge(Pair pair, Findings findings) {
    Optional<String> prefill = pair.prefill().find(Fact.COMPATIBILITY_HASH);
    Optional<String> decode = pair.decode().find(Fact.COMPATIBILITY_HASH);
    boolean known = prefill.isPresent() && decode.isPresent();
    if (known && prefill.equals(decode)) {
      findings.hashesAreEqual();
      return;
    }
    boolean enforced =
        pair.decode()
            .find(Fact.CONNECTOR_CONFIG)
            .map(ConnectorConfig::enforcesHandshake)
            .orElse(true);
    HashFactors factors = new HashFactors(pair, findings);
    boolean explained = enforced ? factors.refuseDifferences() : factors.override(Way.ENGINE);
    if (!enforced) {
      findings.noteWithCanary(
          Rule.COMPATIBILITY_HASH,
          "the decode engine does not compare hashes (enforce_handshake_compat is off)");
    } else if (!known) {
      factors.needAll();
    } else if (!explained) {
      findings.refuse(
          Rule.COMPATIBILITY_HASH,
          "the hashes differ, and nothing that is known of the engines explains it",
          prefill.orElseThrow(),
          decode.orElseThrow(),
          Citations.HASH,
          "start both engines from the same image with the same model, --dtype, --kv-cache-dtype,"
              + " attention backend, --speculative-config and kv-transfer-config",
          "declare model-config and kv-transfer-config of both workers to learn which of them differs");
    }
  }
}
