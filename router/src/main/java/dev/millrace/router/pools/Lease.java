package dev.millrace.router.pools;

import dev.millrace.config.Declared;
import dev.millrace.layout.compatibility.Fact;
import java.time.Duration;

/**
 * How long a prefill engine keeps blocks that nobody has read.
 *
 * <p>vLLM's connector pins them for {@code kv_lease_duration}, 30 s, when the prompt is computed;
 * each heartbeat of a decode engine makes it at least two thirds of that from then on (connector
 * version 4 and later, vLLM v0.32.0 {@code nixl/base_scheduler.py}). Earlier versions keep them for
 * {@code VLLM_NIXL_ABORT_REQUEST_TIMEOUT}, 480 s, and know no heartbeats.
 *
 * @param initial from the prefill's answer on
 * @param extension from a heartbeat on, zero where there are none
 */
public record Lease(Duration initial, Duration extension) {
  private static final Duration ABORT_TIMEOUT = Duration.ofMinutes(8);
  private static final Duration LEASE = Duration.ofSeconds(30);
  private static final int FIRST_WITH_HEARTBEATS = 4;
  private static final int MOST = Integer.MAX_VALUE;

  /** The lease of an engine of which this is declared; where nothing is, the shorter one. */
  public static Lease of(Declared declared) {
    boolean renewable =
        declared.value(Fact.CONNECTOR_VERSION).orElse(MOST) >= FIRST_WITH_HEARTBEATS;
    Duration initial = declared.value(Fact.LEASE).orElse(renewable ? LEASE : ABORT_TIMEOUT);
    return new Lease(initial, renewable ? initial.multipliedBy(2).dividedBy(3) : Duration.ZERO);
  }

  /**
   * How old blocks may be for a decode worker to be pointed at them: what is left must do for its
   * queue and its first heartbeat, and a late read gives another prompt's text without an error.
   */
  public Duration usable() {
    return initial.multipliedBy(7).dividedBy(10);
  }

  /** How often to ask for more time: as often as vLLM's decode engines do. */
  public Duration beat() {
    return initial.dividedBy(6);
  }
}
