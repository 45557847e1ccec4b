package dev.millrace.transfer.tcp;

import dev.millrace.transfer.SharedSecret;
import java.nio.charset.StandardCharsets;

/**
 * How a {@link TcpTransport} is reached and by whom.
 *
 * @param name what it calls itself towards peers, at most 64 bytes
 * @param bindHost address to listen on
 * @param port port to listen on, 0 for any free one
 * @param advertisedHost where peers reach {@code bindHost}
 * @param secret shared with all peers
 * @param limits bounds
 */
public record TcpTransportOptions(
    String name,
    String bindHost,
    int port,
    String advertisedHost,
    SharedSecret secret,
    TcpLimits limits) {

  static final int MOST_NAME_BYTES = 64;
  static final int MOST_HOST_BYTES = 255;

  public TcpTransportOptions {
    int nameBytes = name.getBytes(StandardCharsets.UTF_8).length;
    if (nameBytes < 1 || nameBytes > MOST_NAME_BYTES) {
      throw new IllegalArgumentException(
          "transport name \"%s\" has %d bytes (1 to %d)"
              .formatted(name, nameBytes, MOST_NAME_BYTES));
    }
    int hostBytes = advertisedHost.getBytes(StandardCharsets.UTF_8).length;
    if (hostBytes < 1 || hostBytes > MOST_HOST_BYTES) {
      throw new IllegalArgumentException(
          "advertised host \"%s\" has %d bytes (1 to %d)"
              .formatted(advertisedHost, hostBytes, MOST_HOST_BYTES));
    }
    if (port < 0 || port > 65535) {
      throw new IllegalArgumentException("port " + port + " (0 to 65535)");
    }
    if (advertisedHost.equals("0.0.0.0") || advertisedHost.equals("::")) {
      throw new IllegalArgumentException(
          "peers cannot connect to \"%s\": set the advertised host to an address of this machine"
              .formatted(advertisedHost));
    }
  }

  /** Any free port of the loopback address. */
  public static TcpTransportOptions loopback(String name, SharedSecret secret) {
    return on(name, "127.0.0.1", 0, secret);
  }

  /** An address of this machine at which peers reach it, too. */
  public static TcpTransportOptions on(String name, String host, int port, SharedSecret secret) {
    return new TcpTransportOptions(name, host, port, host, secret, TcpLimits.DEFAULT);
  }

  /** The same with other bounds. */
  public TcpTransportOptions with(TcpLimits other) {
    return new TcpTransportOptions(name, bindHost, port, advertisedHost, secret, other);
  }

  /** The same, listening on {@code host} but reached under the name it had. */
  public TcpTransportOptions boundTo(String host) {
    return new TcpTransportOptions(name, host, port, advertisedHost, secret, limits);
  }
}
