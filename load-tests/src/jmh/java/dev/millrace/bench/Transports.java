package dev.millrace.bench;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.transfer.BlockTransport;
import dev.millrace.transfer.SharedSecret;
import dev.millrace.transfer.nixl.Nixl;
import dev.millrace.transfer.nixl.NixlSettings;
import dev.millrace.transfer.nixl.NixlTransport;
import dev.millrace.transfer.nixl.NixlTransportOptions;
import dev.millrace.transfer.tcp.TcpTransport;
import dev.millrace.transfer.tcp.TcpTransportOptions;

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
    return switch (Nixl.load(NixlSettings.DEFAULT)) {
      case Nixl.Present nixl -> NixlTransport.open(nixl, NixlTransportOptions.named(name, SECRET));
      case Nixl.Absent(String reason, String remedy) ->
          throw new IllegalStateException(reason + "; " + remedy);
    };
  }
}
