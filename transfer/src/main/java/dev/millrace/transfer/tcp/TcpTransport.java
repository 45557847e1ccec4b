package dev.millrace.transfer.tcp;

import dev.millrace.transfer.BlockTransport;
import dev.millrace.transfer.NotificationHandler;
import dev.millrace.transfer.Peer;
import dev.millrace.transfer.ReadOutcome;
import dev.millrace.transfer.Registration;
import dev.millrace.transfer.TransferException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Block reads over TCP with nothing but the JDK; see the package for how. */
public final class TcpTransport implements BlockTransport {
  private static final Logger log = LoggerFactory.getLogger(TcpTransport.class);

  /** Connects under way; connects are rare, and each takes a few round trips. */
  private static final int CONNECTS_AT_ONCE = 8;

  private static final int QUEUED_CONNECTS = 1024;

  private final Context context;
  private final Listener listener;
  private final Description description;
  private final ThreadPoolExecutor connects;
  private final Set<TcpPeer> peers = ConcurrentHashMap.newKeySet();
  private final Set<Operation> connecting = ConcurrentHashMap.newKeySet();
  private boolean closed;

  private TcpTransport(Context context, Listener listener) throws IOException {
    this.context = context;
    this.listener = listener;
    TcpTransportOptions options = context.options;
    this.description =
        new Description(
            context.instance, options.name(), options.advertisedHost(), listener.port());
    this.connects =
        new ThreadPoolExecutor(
            CONNECTS_AT_ONCE,
            CONNECTS_AT_ONCE,
            10,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(QUEUED_CONNECTS),
            context.threads("connect"));
    connects.allowCoreThreadTimeOut(true);
  }

  /**
   * Starts to listen.
   *
   * @throws TransferException if the address cannot be listened on
   */
  public static TcpTransport start(TcpTransportOptions options) {
    Context context = new Context(options, new SecureRandom());
    try {
      return new TcpTransport(context, new Listener(context));
    } catch (IOException | RuntimeException e) {
      context.stopTimer();
      throw new TransferException(
          "%s cannot listen on %s:%d: %s"
              .formatted(options.name(), options.bindHost(), options.port(), e.getMessage()),
          e);
    }
  }

  @Override
  public String name() {
    return "tcp";
  }

  /** The port that it listens on. */
  public int port() {
    return description.port();
  }

  @Override
  public Registration register(MemorySegment memory) {
    synchronized (this) {
      if (closed) {
        throw new TransferException("the transport is closed");
      }
      return context.memory.add(memory);
    }
  }

  @Override
  public byte[] describe() {
    return description.encode();
  }

  @Override
  public CompletableFuture<Peer> connect(byte[] peerDescription, Duration deadline) {
    Description target;
    try {
      target = Description.decode(peerDescription);
    } catch (TransferException e) {
      return CompletableFuture.failedFuture(e);
    }
    CompletableFuture<Peer> connected = new CompletableFuture<>();
    Operation operation =
        new Operation(
            stop -> connected.completeExceptionally(failure(target, stop.reason(), null)));
    TcpPeer peer = new TcpPeer(context, target, peers::remove);
    connecting.add(operation);
    Runnable cancel = context.stopAfter(operation, deadline, "connecting");
    var _ =
        connected.whenComplete((result, failure) -> {
          operation.end();
          connecting.remove(operation);
          cancel.run();
        });
    try {
      connects.execute(() -> open(peer, target, operation, connected));
    } catch (RejectedExecutionException e) {
      connected.completeExceptionally(
          failure(
              target, connects.isShutdown() ? "the transport is closed" : "too many connects", e));
    }
    return connected;
  }

  private void open(
      TcpPeer peer, Description target, Operation operation, CompletableFuture<Peer> connected) {
    try {
      peers.add(peer);
      peer.open(operation);
      synchronized (this) {
        if (closed) {
          throw new IOException("the transport is closed");
        }
      }
      if (!connected.complete(peer)) {
        peer.close();
      }
    } catch (IOException | RuntimeException e) {
      peer.close();
      connected.completeExceptionally(failure(target, e.getMessage(), e));
    }
  }

  private static TransferException failure(
      Description target, @Nullable String reason, @Nullable Throwable cause) {
    String message =
        "cannot connect to %s at %s: %s".formatted(target.name(), target.address(), reason);
    return cause == null ? new TransferException(message) : new TransferException(message, cause);
  }

  @Override
  public void onNotification(NotificationHandler handler) {
    context.handler(handler);
  }

  /** Its counters and gauges now. */
  public Stats stats() {
    return new Stats(
        context.openConnections(),
        context.memory.all().size(),
        peers.size(),
        context.refused.sum(),
        context.bytesRead.sum(),
        context.bytesServed.sum(),
        context.readsDone.sum(),
        context.readsFailed.sum(),
        context.notifications.sum());
  }

  /**
   * What a transport holds and has done.
   *
   * @param connections open connections, both ways
   * @param registrations registered pieces of memory
   * @param peers connected peers
   * @param refusedConnections strangers turned away since the start
   * @param bytesRead payload read from peers
   * @param bytesServed payload sent to peers
   * @param readsDone reads that ended well
   * @param readsFailed reads that did not
   * @param notifications notifications taken from peers
   */
  public record Stats(
      int connections,
      int registrations,
      int peers,
      long refusedConnections,
      long bytesRead,
      long bytesServed,
      long readsDone,
      long readsFailed,
      long notifications) {}

  @Override
  public void close() {
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
    }
    listener.stop();
    connecting.forEach(
        operation -> operation.stop(ReadOutcome.Cause.CLOSED, "the transport was closed"));
    connects.shutdown();
    peers.forEach(TcpPeer::close);
    context.closeWires();
    Context.shutDown(connects);
    // A connect that was under way may have made one more.
    peers.forEach(TcpPeer::close);
    context.closeWires();
    listener.awaitEnd();
    for (Region region : context.memory.all()) {
      try {
        region.close();
      } catch (TransferException e) {
        log.error("{}: {}", context.options.name(), e.getMessage());
      }
    }
    context.stopTimer();
  }
}
