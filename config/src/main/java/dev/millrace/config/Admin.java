package dev.millrace.config;

/**
 * The port for operators, which is never meant to be public.
 *
 * @param host address to bind; loopback unless an operator opens it
 * @param port {@code 0..65535}; 0 lets the system choose
 */
public record Admin(String host, int port) {
  static final String DEFAULT_HOST = "127.0.0.1";
  static final int DEFAULT_PORT = 9090;

  public Admin {
    if (host.isBlank() || port < 0 || port > 65535) {
      throw new IllegalArgumentException("admin: \"%s:%d\" is not host:port".formatted(host, port));
    }
  }

  /** Loopback, port 9090. */
  public static Admin defaults() {
    return new Admin(DEFAULT_HOST, DEFAULT_PORT);
  }

  /** The same on another port; 0 lets the system choose. */
  public Admin withPort(int newPort) {
    return new Admin(host, newPort);
  }
}
