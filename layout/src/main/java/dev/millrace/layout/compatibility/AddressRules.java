package dev.millrace.layout.compatibility;

import java.util.Locale;
import java.util.Optional;
import java.util.Set;

/** Whether the decode engine, following a hand-off, would meet the prefill engine. */
final class AddressRules {
  private static final Set<String> WILDCARDS = Set.of("0.0.0.0", "::", "[::]", "*", "");
  private static final Set<String> LOOPBACK_NAMES = Set.of("localhost", "::1", "[::1]");

  private AddressRules() {}

  static void judge(Pair pair, Findings findings) {
    engineIds(pair, findings);
    Optional<String> prefill = pair.prefill(Fact.SIDE_CHANNEL_HOST);
    Optional<String> decode = pair.decode(Fact.SIDE_CHANNEL_HOST);
    if (sharesSideChannel(pair)) {
      findings.refuse(
          Rule.SIDE_CHANNEL,
          address(pair.prefill()),
          address(pair.decode()),
          "give each engine a VLLM_NIXL_SIDE_CHANNEL_PORT of its own; data-parallel ranks take the"
              + " ports behind it");
    }
    if (prefill.isPresent() && WILDCARDS.contains(prefill.get())) {
      findings.refuse(
          Rule.SIDE_CHANNEL,
          address(pair.prefill()),
          decode.orElse("not known"),
          "set VLLM_NIXL_SIDE_CHANNEL_HOST to an address that decode engines reach: what is bound is"
              + " also advertised");
    } else if (prefill.isPresent() && isElsewhere(pair.prefill(), prefill.get())) {
      findings.refuse(
          Rule.SIDE_CHANNEL,
          "%s, at HTTP host %s"
              .formatted(address(pair.prefill()), pair.prefill(Fact.HTTP_HOST).orElse("not known")),
          decode.orElse("not known"),
          "set VLLM_NIXL_SIDE_CHANNEL_HOST on the prefill engine: a loopback address leads decode"
              + " engines to themselves");
    }
  }

  static void engineIds(Pair pair, Findings findings) {
    if (pair.bothKnow(Fact.ENGINE_ID) && !pair.differIn(Fact.ENGINE_ID)) {
      String id = pair.prefill(Fact.ENGINE_ID).orElseThrow();
      findings.refuse(
          Rule.ENGINE_ID,
          id,
          id,
          "leave engine_id out of --kv-transfer-config, or give each engine one of its own");
    }
  }

  static boolean isLoopback(String host) {
    return LOOPBACK_NAMES.contains(host.toLowerCase(Locale.ROOT)) || host.startsWith("127.");
  }

  /** Advertises the loopback address although it is met under another one. */
  private static boolean isElsewhere(EngineProfile engine, String sideChannelHost) {
    return isLoopback(sideChannelHost)
        && engine.value(Fact.HTTP_HOST).map(host -> !isLoopback(host)).orElse(false);
  }

  private static boolean sharesSideChannel(Pair pair) {
    return pair.bothKnow(Fact.SIDE_CHANNEL_HOST)
        && pair.bothKnow(Fact.SIDE_CHANNEL_PORT)
        && !pair.differIn(Fact.SIDE_CHANNEL_HOST)
        && !pair.differIn(Fact.SIDE_CHANNEL_PORT)
        && !onDifferentHosts(pair);
  }

  /** Each has a loopback address of its own. */
  private static boolean onDifferentHosts(Pair pair) {
    return pair.differIn(Fact.HTTP_HOST)
        && pair.prefill(Fact.SIDE_CHANNEL_HOST).map(AddressRules::isLoopback).orElse(false);
  }

  private static String address(EngineProfile engine) {
    return engine.value(Fact.SIDE_CHANNEL_HOST).orElse("?")
        + engine.value(Fact.SIDE_CHANNEL_PORT).map(port -> ":" + port).orElse("");
  }
}
