package dev.millrace.layout.compatibility;

import java.util.Set;

/**
 * Whether two releases of NIXL read from each other. Tried: 1.4.0 with 1.5.1 works both ways; of
 * 0.10.1 and 1.0.0 with 1.5.1, reads failed, hung, or ended the process, over all transports but
 * plain TCP.
 */
final class NixlVersionRule {
  private static final Set<String> GO_TOGETHER = Set.of("1.4.0", "1.5.1");
  private static final Set<String> DO_NOT = Set.of("0.10.1", "1.0.0");

  private NixlVersionRule() {}

  static void judge(Pair pair, Findings findings) {
    if (!pair.differIn(Fact.NIXL_VERSION)) {
      return;
    }
    String prefill = pair.prefill(Fact.NIXL_VERSION).orElseThrow();
    String decode = pair.decode(Fact.NIXL_VERSION).orElseThrow();
    if (DO_NOT.contains(prefill) || DO_NOT.contains(decode)) {
      findings.refuse(
          Rule.NIXL_VERSION, prefill, decode, "install the same NIXL release on both sides");
    } else if (!GO_TOGETHER.contains(prefill) || !GO_TOGETHER.contains(decode)) {
      findings.note(
          Rule.NIXL_VERSION,
          "NIXL %s and %s were not tried with each other".formatted(prefill, decode),
          Note.Attention.CANARY);
    }
  }
}
