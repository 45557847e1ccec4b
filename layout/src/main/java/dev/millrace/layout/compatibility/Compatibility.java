package dev.millrace.layout.compatibility;

import java.util.ArrayList;
import java.util.List;

/**
 * Whether a prefill and a decode engine can be paired, and by which way.
 *
 * <p>By their own connector, engines follow vLLM's rules, which depend on the connector's version:
 * equal compatibility hashes, then the checks of the handshake, then what is known to answer wrong
 * though nothing checks it. By bridge, the same rules hold for the prefill engine <em>as an agent
 * can describe it</em>. By relay, the agent has a geometry of its own, so only what the cache means
 * must be equal.
 */
public final class Compatibility {
  private Compatibility() {}

  /** Whether the engines fit by this way. */
  public static Verdict check(EngineProfile prefill, EngineProfile decode, Way way) {
    Pair pair = new Pair(prefill, decode);
    Findings findings = new Findings();
    switch (way) {
      case ENGINE -> EngineRules.judge(pair, findings);
      case BRIDGE -> BridgeRules.judge(pair, findings);
      case RELAY -> RelayRules.judge(pair, findings);
    }
    return findings.verdict();
  }

  /** The same, with what follows for the pair's requests. */
  public static Judgement judge(EngineProfile prefill, EngineProfile decode, Way way) {
    return new Judgement(way, check(prefill, decode, way), new Pair(prefill, decode).hashes());
  }

  /**
   * The first of these ways that fits.
   *
   * @param ways in the order in which they are tried: {@code Way.values()} for {@code auto}, one
   *     for a way that is asked for
   */
  public static Choice choose(EngineProfile prefill, EngineProfile decode, List<Way> ways) {
    List<Judgement> tried = new ArrayList<>();
    for (Way way : ways) {
      Judgement judgement = judge(prefill, decode, way);
      if (judgement.verdict().fits()) {
        return new Choice.Use(judgement, tried);
      }
      tried.add(judgement);
    }
    for (Judgement judgement : tried) {
      if (judgement.traffic() == Judgement.Traffic.AFTER_CANARY) {
        return new Choice.Use(judgement, tried.subList(0, tried.indexOf(judgement)));
      }
    }
    return new Choice.None(tried);
  }
}
