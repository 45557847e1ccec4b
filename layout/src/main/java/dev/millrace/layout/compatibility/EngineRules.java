package dev.millrace.layout.compatibility;

import java.util.Optional;

/** What holds where the decode engine's own connector reads from the prefill engine. */
final class EngineRules {
  private EngineRules() {}

  static void judge(Pair pair, Findings findings) {
    ModelRules.judge(pair, findings);
    if (plansForItself(pair)) {
      // A simulated engine reads by the same plans as a relay.
      FactorRules.ofAgent(Way.RELAY, pair, findings);
      RelayRules.plan(pair, findings);
      AddressRules.judge(pair, findings);
      return;
    }
    FactorRules.ofConnector(pair, findings);
    AddressRules.judge(pair, findings);
    handshake(pair, findings);
    RegionRules.judge(pair, findings);
  }

  /** What the decode engine's connector checks of the geometry that it is told. */
  static void handshake(Pair pair, Findings findings) {
    NixlVersionRule.judge(pair, findings);
    ParallelismRules.judge(pair, findings);
    BlockRules.judge(pair, findings);
    LayoutRules.judge(pair, findings);
  }

  private static boolean plansForItself(Pair pair) {
    Optional<EngineKind> simulated = Optional.of(EngineKind.MILLRACE_SIM);
    return pair.prefill(Fact.KIND).equals(simulated) && pair.decode(Fact.KIND).equals(simulated);
  }
}
