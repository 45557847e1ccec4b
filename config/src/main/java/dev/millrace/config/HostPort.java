package dev.millrace.config;

/**
 * Where something listens.
 *
 * @param host name or address; IPv6 addresses without brackets
 * @param port {@code 1..65535}
 */
public record HostPort(String host, int port) {
  public HostPort {
    if (host.isBlank() || port < 1 || port > 65535) {
      throw new IllegalArgumentException("\"%s:%d\" is not host:port".formatted(host, port));
    }
  }

  /** {@code host:port}, with brackets around an IPv6 address. */
  @Override
  public String toString() {
    return (host.indexOf(':') >= 0 ? "[" + host + "]" : host) + ":" + port;
  }
}
