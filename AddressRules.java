package dev.millrace.layout.compatibility;

import java.util.Optional;
import java.util.Set;

/**
 * Whether the engines can be told apart and reach each other: what the hash and the handshake do
 * not see, and what then looks like a fault of the network.
 */
final class AddressRules {
  private static final Set<String> WILDCARDS = Set.of("0.0.0.0", "::", "[::]", "*");

  private AddressRules() {}

  static void judge(Pair pair, Way way, Findings findings) {
    findings.ifBoth(
        Fact.ENGINE_ID,
        (prefill, decode) -> {
          if (prefill.equals(decode)) {
            findings.refuse(
                Rule.ENGINE_ID,
                "both engines have the same id, so that one is taken for the other",
                prefill,
                decode,
                "vLLM v0.32.0 nixl/base_worker.py, _nixl_handshake; vLLM issue 23086",
                "leave engine_id out of kv-transfer-config, or give each engine its own");
          }
        });
    ports(pair, findings);
    reachable(pair, Side.PREFILL, way, findings);
    if (way == Way.ENGINE
        && pair.shared(Fact.TRANSFER_MODE).filter(TransferMode.PUSH::equals).isPresent()) {
      reachable(pair, Side.DECODE, way, findings);
    }
  }

  /** Data-parallel engines behind one URL use as many ports in a row. */
  private static void ports(Pair pair, Findings findings) {
    Optional<String> hosts = host(pair.prefill());
    if (hosts.isEmpty() || !hosts.equals(host(pair.decode()))) {
      return;
    }
    findings.ifBoth(
        Fact.SIDE_CHANNEL_PORT,
        (prefill, decode) -> {
          int prefillEnd = prefill + pair.prefill().find(Fact.DATA_PARALLEL).orElse(1);
          int decodeEnd = decode + pair.decode().find(Fact.DATA_PARALLEL).orElse(1);
          if (prefill < decodeEnd && decode < prefillEnd) {
            findings.refuse(
                Rule.SIDE_CHANNEL_PORT,
                "both engines' side channels have the same address",
                ports(hosts.get(), prefill, prefillEnd),
                ports(hosts.get(), decode, decodeEnd),
                "vLLM v0.32.0 nixl/base_scheduler.py: port VLLM_NIXL_SIDE_CHANNEL_PORT +"
                    + " data-parallel index",
                "give each engine a VLLM_NIXL_SIDE_CHANNEL_PORT of its own, as far apart as it has"
                    + " data-parallel engines");
          }
        });
  }

  private static String ports(String host, int first, int end) {
    return end == first + 1 ? host + ":" + first : "%s:%d-%d".formatted(host, first, end - 1);
  }

  /** Where the side channel really is: a wildcard is bound on the engine's own host. */
  private static Optional<String> host(EngineProfile engine) {
    Optional<String> sideChannel = engine.find(Fact.SIDE_CHANNEL_HOST);
    return sideChannel.filter(host -> !isWildcard(host) && !isLoopback(host)).isPresent()
        ? sideChannel
        : engine.find(Fact.HTTP_HOST).map(host -> isLoopback(host) ? "127.0.0.1" : host);
  }

  private static void reachable(Pair pair, Side side, Way way, Findings findings) {
    Optional<String> host = pair.of(side).find(Fact.SIDE_CHANNEL_HOST);
    if (host.isEmpty()) {
      return;
    }
    boolean wildcard = isWildcard(host.get()) && way == Way.ENGINE;
    if (!wildcard && !isLoopback(host.get())) {
      return;
    }
    boolean oneHost = true;
    for (Side each : Side.values()) {
      Optional<String> http = pair.of(each).find(Fact.HTTP_HOST);
      oneHost &= http.isEmpty() || isLoopback(http.get());
    }
    if (!oneHost) {
      findings.refuse(
          Rule.SIDE_CHANNEL_HOST,
          "the %s engine tells others to ask at %s, where they find themselves"
              .formatted(side.word(), host.get()),
          address(pair.prefill()),
          address(pair.decode()),
          "vLLM v0.32.0 envs.py, VLLM_NIXL_SIDE_CHANNEL_HOST: the address bound is the address"
              + " told; vLLM issue 27083",
          "set VLLM_NIXL_SIDE_CHANNEL_HOST of the %s engine to an address that others reach"
              .formatted(side.word()));
    }
  }

  private static String address(EngineProfile engine) {
    return "side channel %s, HTTP %s"
        .formatted(
            engine.find(Fact.SIDE_CHANNEL_HOST).orElse("unknown"),
            engine.find(Fact.HTTP_HOST).orElse("unknown"));
  }

  private static boolean isWildcard(String host) {
    return WILDCARDS.contains(host);
  }

  private static boolean isLoopback(String host) {
    return host.equals("localhost")
        || host.equals("::1")
        || host.equals("[::1]")
        || host.startsWith("127.");
  }
}
