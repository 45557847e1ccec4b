package dev.millrace.router.agents;

import dev.millrace.router.handoff.HandOff;
import dev.millrace.router.handoff.Pinned;
import io.vertx.core.buffer.Buffer;
import java.time.Duration;
import java.util.Optional;

/**
 * Blocks that an agent has brought to where a decode engine can read them.
 *
 * @param parameters {@code kv_transfer_params} for the decode leg
 * @param how the agent's own word for what it did, such as {@code relayed-staged}
 * @param copy what the agent holds now instead of the prefill engine; empty for a bridge
 * @param bytes that it read, 0 for a bridge
 * @param took of the agent's call
 */
public record Carried(
    Buffer parameters, String how, Optional<Copy> copy, long bytes, Duration took) {

  /**
   * Whether a decode engine may be sent to the blocks: to a copy, or to where the prefill engine
   * still keeps them for long enough.
   */
  public boolean isReadable(HandOff original, long nowNanos) {
    return copy.isPresent() || original.isUsable(nowNanos);
  }

  /**
   * A copy of a hand-off, which its readers or its expiry end.
   *
   * @param agent who holds it
   * @param id names it there
   * @param of what it is a copy of
   * @param reader the decode engine that was sent to it last
   */
  public record Copy(Agent agent, String id, Pinned of, DecodeEngine reader) {}
}
