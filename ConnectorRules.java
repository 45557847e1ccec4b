package dev.millrace.layout.compatibility;

/** Whether both engines have a connector that speaks NIXL, and whether both pull or both push. */
final class ConnectorRules {
  private ConnectorRules() {}

  static void judge(Pair pair, Way way, Findings findings) {
    for (Side side : Side.values()) {
      pair.of(side)
          .find(Fact.CONNECTOR_CONFIG)
          .filter(config -> config.nixl().isEmpty())
          .ifPresent(config ->
              findings.refuse(
                  Rule.NO_NIXL,
                  "the %s engine's kv-transfer-config has no NIXL connector".formatted(side.word()),
                  name(pair, Side.PREFILL),
                  name(pair, Side.DECODE),
                  Citations.HANDSHAKE,
                  "configure NixlConnector, alone or as a child of MultiConnector"));
    }
    findings.ifBoth(
        Fact.TRANSFER_MODE,
        (prefill, decode) -> {
          if (prefill != decode) {
            findings.refuse(
                Rule.TRANSFER_MODE,
                "one engine reads blocks, the other writes them",
                prefill,
                decode,
                Citations.HASH,
                "configure NixlConnector on both engines, or NixlPushConnector on both");
          } else if (prefill == TransferMode.PUSH && way != Way.ENGINE) {
            findings.refuse(
                Rule.TRANSFER_MODE,
                "both engines push; an agent reads blocks and does not wait for them",
                prefill,
                decode,
                way == Way.BRIDGE ? Citations.MILLRACE_BRIDGE : Citations.MILLRACE_RELAY,
                "configure NixlConnector on both engines");
          }
        });
  }

  private static String name(Pair pair, Side side) {
    return pair.of(side)
        .find(Fact.CONNECTOR_CONFIG)
        .map(ConnectorConfig::toString)
        .orElse("unknown");
  }
}
