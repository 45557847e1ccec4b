package dev.millrace.transfer.agent;

import dev.millrace.transfer.BlockTransport;
import dev.millrace.transfer.NotificationHandler;
import dev.millrace.transfer.Peer;
import dev.millrace.transfer.Registration;
import dev.millrace.transfer.TransferException;
import dev.millrace.transfer.sidechannel.AgentMetadata;
import dev.millrace.transfer.tcp.TcpTransport;
import dev.millrace.transfer.tcp.TcpTransportOptions;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Predicate;

/** The TCP transport, with the troubles of others. */
final class TroubledTransport implements AgentTransport, BlockTransport {
  /** What it is connected to. */
  final List<Peer> connected = new CopyOnWriteArrayList<>();

  volatile Runnable whenRegistering = () -> {};
  volatile Runnable whenConnecting = () -> {};
  volatile boolean letsGo = true;
  volatile Predicate<MemorySegment> written = _ -> false;

  private final TcpTransport tcp =
      TcpTransport.start(TcpTransportOptions.loopback("agent", LocalEngine.SECRET));

  @Override
  public BlockTransport blocks() {
    return this;
  }

  @Override
  public CompletableFuture<Peer> connect(
      AgentOptions.SideChannel channel, AgentMetadata rank, Duration deadline) {
    return connect(rank.agentMetadata().bytes(), deadline);
  }

  @Override
  public CompletableFuture<Peer> connect(byte[] description, Duration deadline) {
    whenConnecting.run();
    return tcp.connect(description, deadline)
        .thenApply(peer -> {
          connected.add(peer);
          return peer;
        });
  }

  @Override
  public boolean mayStillBeWritten(MemorySegment memory) {
    return written.test(memory);
  }

  @Override
  public long shortRunBytes() {
    return 0;
  }

  @Override
  public ServingTransport serve() {
    throw new AssertionError("nobody is to be served");
  }

  @Override
  public String name() {
    return tcp.name();
  }

  @Override
  public Registration register(MemorySegment memory) {
    whenRegistering.run();
    Registration registration = tcp.register(memory);
    return new Registration() {
      @Override
      public long address() {
        return registration.address();
      }

      @Override
      public long bytes() {
        return registration.bytes();
      }

      @Override
      public void close() {
        if (!letsGo) {
          throw new TransferException("a peer hangs, and the memory must not be freed yet");
        }
        registration.close();
      }
    };
  }

  @Override
  public byte[] describe() {
    return tcp.describe();
  }

  @Override
  public void onNotification(NotificationHandler handler) {
    tcp.onNotification(handler);
  }

  /** How many peers it is connected to now. */
  int peers() {
    return tcp.stats().peers();
  }

  @Override
  public void close() {
    tcp.close();
  }
}
