package dev.millrace.transfer.nixl;

import dev.millrace.transfer.SharedSecret;
import java.nio.charset.StandardCharsets;
import java.util.UUID;

/**
 * Who a {@link NixlTransport} is, and for whom.
 *
 * @param name what it calls itself towards peers, at most 64 bytes
 * @param agentName how peers call its NIXL agent: unique among all processes and among all starts
 *     of one process, at most 128 bytes; use {@link #named}
 * @param secret shared with all transports that it talks to
 * @param engines whether engines may notify it
 * @param limits bounds
 */
public record NixlTransportOptions(
    String name,
    String agentName,
    SharedSecret secret,
    EngineNotifications engines,
    NixlLimits limits) {

  private static final int MOST_NAME_BYTES = 64;
  private static final int MOST_AGENT_NAME_BYTES = 128;

  /**
   * What becomes of notifications that are not signed. Inference engines send such ones. NIXL
   * proves neither their sender nor their text, so whoever handles them must expect anything.
   */
  public enum EngineNotifications {
    /** They are dropped and counted. */
    DROPPED,
    /** They reach the handler, with the name that the sender gives itself. */
    DELIVERED
  }

  public NixlTransportOptions {
    check("transport name", name, MOST_NAME_BYTES);
    check("NIXL agent name", agentName, MOST_AGENT_NAME_BYTES);
  }

  private static void check(String what, String text, int mostBytes) {
    int bytes = text.getBytes(StandardCharsets.UTF_8).length;
    if (bytes < 1 || bytes > mostBytes || text.indexOf('\0') >= 0) {
      throw new IllegalArgumentException(
          "%s \"%s\" has %d bytes (1 to %d, without NUL)".formatted(what, text, bytes, mostBytes));
    }
  }

  /** A transport whose agent is called {@code name} and something unique. */
  public static NixlTransportOptions named(String name, SharedSecret secret) {
    return new NixlTransportOptions(
        name,
        name + "-" + UUID.randomUUID(),
        secret,
        EngineNotifications.DROPPED,
        NixlLimits.DEFAULT);
  }

  /** The same with other bounds. */
  public NixlTransportOptions with(NixlLimits other) {
    return new NixlTransportOptions(name, agentName, secret, engines, other);
  }

  /** The same for engines' notifications. */
  public NixlTransportOptions with(EngineNotifications other) {
    return new NixlTransportOptions(name, agentName, secret, other, limits);
  }
}
