package dev.millrace.simulator.connector;

import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.EngineTransport;
import dev.millrace.simulator.cache.KvMemory;
import dev.millrace.simulator.core.NativeTransfers;
import dev.millrace.transfer.NotificationHandler;
import dev.millrace.transfer.Registration;
import dev.millrace.transfer.SharedSecret;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.IntFunction;

/**
 * One transport per tensor-parallel rank, as every vLLM worker has its own NIXL agent. Each has the
 * memory of its rank registered and nothing else.
 */
final class RankTransports {
  private final KvMemory memory;
  private final List<RankTransport> transports = new ArrayList<>();
  private final List<Registration> registrations = new ArrayList<>();
  private volatile boolean closed;

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
    this.memory = memory;
    try {
      for (int rank = 0; rank < memory.ranks(); rank++) {
        RankTransport transport = open(config, engineId + "-" + rank);
        transports.add(transport);
        registrations.add(transport.blocks().register(memory.memory(rank)));
        transport.blocks().onNotification(handlers.apply(rank));
      }
    } catch (RuntimeException e) {
      var _ = close();
      throw e;
    }
  }

  private static RankTransport open(EngineConfig config, String name) {
    return switch (config.transport()) {
      case EngineTransport.Tcp(SharedSecret secret) -> TcpRank.open(name, config.host(), secret);
      case EngineTransport.Nixl() -> NixlRank.open(name);
    };
  }

  /** The transport of a rank. */
  RankTransport of(int rank) {
    return transports.get(rank);
  }

  /** Number of ranks. */
  int ranks() {
    return transports.size();
  }

  /** Whether their end has begun. */
  boolean isClosed() {
    return closed;
  }

  /** What all ranks' native libraries have moved. */
  Optional<NativeTransfers> nativeTransfers() {
    return transports.stream()
        .flatMap(transport -> transport.nativeTransfers().stream())
        .reduce(NativeTransfers::plus);
  }

  /**
   * Ends all reads. Blocks until no transport uses the memory any more, or will not stop using it.
   *
   * @return whether the memory may be freed
   */
  boolean close() {
    closed = true;
    transports.forEach(transport -> transport.blocks().close());
    registrations.forEach(Registration::close);
    boolean free = true;
    for (int rank = 0; rank < transports.size(); rank++) {
      free &= !memory.mayBeWritten(rank, transports.get(rank).abandoned());
    }
    return free;
  }
}
