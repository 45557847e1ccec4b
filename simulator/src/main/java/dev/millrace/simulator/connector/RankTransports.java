package dev.millrace.simulator.connector;

import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.cache.KvMemory;
import dev.millrace.transfer.BlockTransport;
import dev.millrace.transfer.NotificationHandler;
import dev.millrace.transfer.Registration;
import dev.millrace.transfer.SharedSecret;
import dev.millrace.transfer.tcp.TcpTransport;
import dev.millrace.transfer.tcp.TcpTransportOptions;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;

/**
 * One transport per tensor-parallel rank, as every vLLM worker has its own NIXL agent. Each has the
 * memory of its rank registered and nothing else.
 */
final class RankTransports {
  private final List<BlockTransport> transports = new ArrayList<>();
  private final List<Registration> registrations = new ArrayList<>();

  /**
   * Starts all transports. Blocks.
   *
   * @param handlers what each rank does with notifications
   */
  RankTransports(
      EngineConfig config,
      String engineId,
      KvMemory memory,
      IntFunction<NotificationHandler> handlers) {
    SharedSecret secret = SharedSecret.of(config.secret().getBytes(StandardCharsets.UTF_8));
    try {
      for (int rank = 0; rank < memory.ranks(); rank++) {
        BlockTransport transport =
            TcpTransport.start(
                TcpTransportOptions.on(engineId + "-" + rank, config.host(), 0, secret));
        transports.add(transport);
        registrations.add(transport.register(memory.memory(rank)));
        transport.onNotification(handlers.apply(rank));
      }
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  /** The transport of a rank. */
  BlockTransport of(int rank) {
    return transports.get(rank);
  }

  /** Number of ranks. */
  int ranks() {
    return transports.size();
  }

  /** Ends all reads and returns when no transport uses the memory any more. Blocks. */
  void close() {
    transports.forEach(BlockTransport::close);
    registrations.forEach(Registration::close);
  }
}
