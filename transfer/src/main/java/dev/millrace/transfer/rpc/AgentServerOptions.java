package dev.millrace.transfer.rpc;

/**
 * How an agent is reached.
 *
 * @param host address to listen on
 * @param port 0 for any free one
 * @param token what callers must know
 * @param version of Millrace, as Describe tells it
 */
public record AgentServerOptions(String host, int port, Token token, String version) {
  public AgentServerOptions {
    if (host.isBlank() || port < 0 || port > 65535) {
      throw new IllegalArgumentException("\"%s:%d\" is not host:port".formatted(host, port));
    }
  }
}
