package dev.millrace.bench;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.transfer.BlockTransport;
import dev.millrace.transfer.SharedSecret;
import dev.millrace.transfer.agent.AgentTransport;
import dev.millrace.transfer.nixl.Nixl;
import dev.millrace.transfer.nixl.NixlAgentTransport;
import dev.millrace.transfer.nixl.NixlSettings;
import dev.millrace.transfer.nixl.NixlTransport;
import dev.millrace.transfer.nixl.NixlTransportOptions;
import dev.millrace.transfer.nixl.NixlTransportOptions.EngineNotifications;
import dev.millrace.transfer.tcp.TcpTransport;
import dev.millrace.transfer.tcp.TcpTransportOptions;
import java.util.Optional;

/** Transports of both ends. */
final class Transports {
  private static final SharedSecret SECRET =
      SharedSecret.of("benchmarks only".repeat(2).getBytes(UTF_8));

  private Transports() {}

  static BlockTransport open(String kind, String name) {
    return switch (kind) {
      case "tcp" -> TcpTransport.start(TcpTransportOptions.loopback(name, SECRET));
      case "nixl" -> nixl(name);
      default -> throw new IllegalArgumentException("no transport \"" + kind + "\"");
    };
  }

  static NixlTransport nixl(String name) {
    return NixlTransport.open(installed(), NixlTransportOptions.named(name, SECRET));
  }

  /** What reads from engines, and what engines read from, as an agent has it. */
  static AgentTransport between(String kind, String name) {
    return switch (kind) {
      case "tcp" -> AgentTransport.of(open(kind, name), () -> open(kind, name + "-serving"));
      case "nixl" ->
          new NixlAgentTransport(
              nixl(name),
              () ->
                  NixlTransport.open(
                      installed(),
                      NixlTransportOptions.named(name + "-serving", SECRET)
                          .with(EngineNotifications.DELIVERED)));
      default -> throw new IllegalArgumentException("no transport \"" + kind + "\"");
    };
  }

  /** The NIXL that engines have to be listed with, if their blocks travel over it. */
  static Optional<String> nixlVersion(String kind) {
    return kind.equals("nixl") ? Optional.of(installed().version()) : Optional.empty();
  }

  private static Nixl.Present installed() {
    return switch (Nixl.load(NixlSettings.DEFAULT)) {
      case Nixl.Present nixl -> nixl;
      case Nixl.Absent(String reason, String remedy) ->
          throw new IllegalStateException(reason + "; " + remedy);
    };
  }
}
