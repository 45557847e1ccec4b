package dev.millrace.router.edges;

import dev.millrace.layout.compatibility.Way;
import dev.millrace.router.probe.Sighting;
import io.vertx.core.Future;

/**
 * Tries an edge out with prompts whose right answers are known.
 *
 * <p>It is the only detector for pairs whose handshake agrees, whose counters are green, and whose
 * answers are wrong: seen with vLLM 0.32.0 on CPUs, blocks of 32 tokens on the prefill side and 64
 * on the decode side.
 */
@FunctionalInterface
public interface Canary {
  /**
   * One try.
   *
   * @param edge which is tried
   * @param way how its blocks go
   * @param prefill what its workers are
   * @param decode what its workers are
   */
  record Flight(Edge edge, Way way, Sighting prefill, Sighting decode) {}

  /** Tries an edge; fails with what was wrong, in words for people. */
  Future<Void> fly(Flight flight);
}
