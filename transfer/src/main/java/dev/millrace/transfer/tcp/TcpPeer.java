package dev.millrace.transfer.tcp;

import dev.millrace.layout.Runs;
import dev.millrace.transfer.Peer;
import dev.millrace.transfer.ReadOutcome;
import dev.millrace.transfer.ReadOutcome.Cause;
import dev.millrace.transfer.TransferException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Deque;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The reader's view of a peer: a few threads that read, each over a connection that it borrows, and
 * one thread that notifies.
 *
 * <p>A connection on which something went wrong is closed; the next operation opens a new one, and
 * finds out whether the peer still lives.
 */
final class TcpPeer implements Peer {
  private final Context context;
  private final Description target;
  private final ThreadPoolExecutor readers;
  private final ThreadPoolExecutor notifier;
  private final Deque<ReadConnection> idle = new ConcurrentLinkedDeque<>();
  private final Set<Operation> active = ConcurrentHashMap.newKeySet();
  private final Consumer<TcpPeer> onClose;
  // Used by the notifier's thread alone, but for close().
  private volatile @Nullable Wire notifications;
  private int notificationsSent;
  private volatile boolean closed;

  TcpPeer(Context context, Description target, Consumer<TcpPeer> onClose) {
    this.context = context;
    this.target = target;
    this.onClose = onClose;
    TcpLimits limits = context.options.limits();
    this.readers = pool(limits.readsAtOnce(), limits.queuedReads(), "read");
    this.notifier = pool(1, limits.queuedReads(), "notify");
  }

  private ThreadPoolExecutor pool(int threads, int queued, String role) {
    ThreadPoolExecutor pool =
        new ThreadPoolExecutor(
            threads,
            threads,
            10,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(queued),
            context.threads(role));
    pool.allowCoreThreadTimeOut(true);
    return pool;
  }

  @Override
  public String name() {
    return target.name();
  }

  /** Opens the first connection: whether the peer is there and knows the secret. */
  void open(Operation operation) throws IOException {
    Wire wire = connect(operation);
    operation.letGo();
    giveBack(new ReadConnection(wire, context));
  }

  private Wire connect(Operation operation) throws IOException {
    Wire wire = context.wire(SocketChannel.open(), target.address());
    try {
      operation.use(wire);
      wire.work();
      InetSocketAddress address = new InetSocketAddress(target.host(), target.port());
      if (address.isUnresolved()) {
        throw new IOException("the host name is unknown");
      }
      wire.channel().connect(address);
      Authentication.prove(wire, context.options.secret(), target.instance(), context.random);
      byte[] name = context.options.name().getBytes(StandardCharsets.UTF_8);
      wire.send(FrameType.HELLO, 0, name);
      wire.rest();
      return wire;
    } catch (IOException e) {
      wire.close();
      throw wire.explain(e);
    } catch (RuntimeException e) {
      // Such as an address that cannot be used.
      wire.close();
      throw new IOException(e.toString(), e);
    }
  }

  @Override
  public CompletableFuture<ReadOutcome> read(
      Runs runs, Optional<byte[]> notification, Duration deadline) {
    notification.ifPresent(TcpPeer::checkPayload);
    CompletableFuture<ReadOutcome> outcome = new CompletableFuture<>();
    Operation operation =
        new Operation(
            stop -> outcome.complete(new ReadOutcome.Failed(stop.cause(), at(stop.reason()), 0)));
    long startNanos = System.nanoTime();
    begin(operation, outcome, deadline, "the read");
    var _ = outcome.thenAccept(this::count);
    try {
      readers.execute(() -> read(runs, notification, deadline, startNanos, operation, outcome));
    } catch (RejectedExecutionException e) {
      operation.stop(
          closed ? Cause.CLOSED : Cause.OVERLOADED,
          closed
              ? "the peer was closed"
              : "%d reads wait already".formatted(context.options.limits().queuedReads()));
    }
    return outcome;
  }

  /** Stops {@code operation} when its deadline passes or the peer closes, until it has settled. */
  private void begin(
      Operation operation, CompletableFuture<?> settled, Duration deadline, String what) {
    active.add(operation);
    Runnable cancel = context.stopAfter(operation, deadline, what);
    var _ =
        settled.whenComplete((result, failure) -> {
          operation.end();
          active.remove(operation);
          cancel.run();
        });
    if (closed) {
      operation.stop(Cause.CLOSED, "the peer was closed");
    }
  }

  private void count(ReadOutcome outcome) {
    switch (outcome) {
      case ReadOutcome.Done done -> context.readsDone.increment();
      case ReadOutcome.Failed failed -> context.readsFailed.increment();
    }
  }

  @SuppressWarnings("CatchThrowable")
  private void read(
      Runs runs,
      Optional<byte[]> notification,
      Duration deadline,
      long startNanos,
      Operation operation,
      CompletableFuture<ReadOutcome> outcome) {
    ReadConnection.Progress progress = new ReadConnection.Progress();
    try {
      scatter(runs, operation, progress);
    } catch (Throwable e) {
      // The runs are the application's code: whatever comes out of it must settle the read.
      outcome.complete(failed(e, operation, progress.bytes));
      return;
    }
    Optional<Wire.Abort> stop = operation.stopped();
    if (stop.isPresent()) {
      // It may have come when memory was being written: then nobody else settles the read.
      Wire.Abort why = stop.get();
      outcome.complete(new ReadOutcome.Failed(why.cause(), at(why.reason()), progress.bytes));
      return;
    }
    if (notification.isEmpty()) {
      outcome.complete(done(progress, startNanos));
      return;
    }
    Duration left = deadline.minusNanos(System.nanoTime() - startNanos);
    var _ =
        deliver(notification.get(), left)
            .thenAccept(refusal ->
                outcome.complete(
                    refusal
                        .<ReadOutcome>map(why ->
                            new ReadOutcome.Failed(
                                why.cause(),
                                "all bytes were read, but " + why.reason(),
                                progress.bytes))
                        .orElseGet(() -> done(progress, startNanos))));
  }

  private static ReadOutcome done(ReadConnection.Progress progress, long startNanos) {
    Duration took = Duration.ofNanos(System.nanoTime() - startNanos);
    return new ReadOutcome.Done(progress.bytes, progress.runs, took);
  }

  private void scatter(Runs runs, Operation operation, ReadConnection.Progress progress)
      throws IOException {
    if (operation.stopped().isPresent()) {
      return;
    }
    ReadConnection connection = idle.pollFirst();
    while (connection != null && !connection.wire().isOpen()) {
      connection = idle.pollFirst();
    }
    if (connection == null) {
      connection = new ReadConnection(connect(operation), context);
    }
    boolean clean = false;
    try {
      operation.use(connection.wire());
      if (operation.touchMemory()) {
        connection.read(runs.cursor(), progress);
        clean = true;
      }
    } catch (IOException e) {
      throw connection.wire().explain(e);
    } finally {
      operation.letGo();
      if (clean) {
        giveBack(connection);
      } else {
        connection.wire().close();
      }
    }
  }

  private void giveBack(ReadConnection connection) {
    idle.addFirst(connection);
    if (closed) {
      closeIdle();
    }
  }

  private void closeIdle() {
    for (ReadConnection each = idle.pollFirst(); each != null; each = idle.pollFirst()) {
      each.wire().close();
    }
  }

  /** Why an operation ended: because it was stopped, or else because of what happened to it. */
  private ReadOutcome.Failed failed(Throwable e, Operation operation, long bytes) {
    Cause cause;
    String reason;
    Optional<Wire.Abort> stop = operation.stopped();
    if (stop.isPresent()) {
      cause = stop.get().cause();
      reason = stop.get().reason();
    } else if (e instanceof ReadFailure failure) {
      cause = failure.kind();
      reason = String.valueOf(e.getMessage());
    } else if (e instanceof IOException) {
      cause = Cause.PEER_LOST;
      reason = e.getMessage() == null ? e.toString() : e.getMessage();
    } else {
      cause = Cause.CORRUPT;
      reason = "a fault of this side: " + e;
    }
    return new ReadOutcome.Failed(cause, at(reason), bytes);
  }

  private String at(String reason) {
    return "%s at %s: %s".formatted(target.name(), target.address(), reason);
  }

  @Override
  public CompletableFuture<Void> notify(byte[] payload, Duration deadline) {
    CompletableFuture<Void> sent = new CompletableFuture<>();
    var _ =
        deliver(payload, deadline)
            .thenAccept(refusal ->
                refusal.ifPresentOrElse(
                    why -> sent.completeExceptionally(new TransferException(why.reason())),
                    () -> sent.complete(null)));
    return sent;
  }

  /** Sends a notification after those before it; completes with what prevented it, if anything. */
  private CompletableFuture<Optional<Wire.Abort>> deliver(byte[] payload, Duration deadline) {
    checkPayload(payload);
    CompletableFuture<Optional<Wire.Abort>> settled = new CompletableFuture<>();
    Operation operation =
        new Operation(stop ->
            settled.complete(
                Optional.of(
                    new Wire.Abort(stop.cause(), "the notification: " + at(stop.reason())))));
    begin(operation, settled, deadline, "the notification");
    byte[] copy = payload.clone();
    try {
      notifier.execute(() -> settled.complete(send(copy, operation)));
    } catch (RejectedExecutionException e) {
      operation.stop(Cause.OVERLOADED, "too many notifications wait already");
    }
    return settled;
  }

  private static void checkPayload(byte[] payload) {
    if (payload.length > FrameType.NOTIFY.mostBytes()) {
      throw new IllegalArgumentException(
          "a notification of %d bytes (at most %d)"
              .formatted(payload.length, FrameType.NOTIFY.mostBytes()));
    }
  }

  private Optional<Wire.Abort> send(byte[] payload, Operation operation) {
    Wire wire = notifications;
    try {
      if (operation.stopped().isPresent()) {
        return operation.stopped();
      }
      if (wire == null || !wire.isOpen()) {
        wire = connect(operation);
        notifications = wire;
      }
      operation.use(wire);
      exchange(wire, payload);
      operation.letGo();
      if (closed) {
        wire.close();
      }
      return Optional.empty();
    } catch (IOException | RuntimeException e) {
      operation.letGo();
      notifications = null;
      IOException why = null;
      if (wire != null) {
        wire.close();
        why = e instanceof IOException io ? wire.explain(io) : null;
      }
      ReadOutcome.Failed failed = failed(why == null ? e : why, operation, 0);
      return Optional.of(new Wire.Abort(failed.cause(), "the notification: " + failed.reason()));
    }
  }

  private void exchange(Wire wire, byte[] payload) throws IOException {
    wire.work();
    wire.send(FrameType.NOTIFY, ++notificationsSent, payload);
    Wire.Header answer = wire.header();
    switch (answer.type()) {
      case ACK -> {
        if (answer.request() != notificationsSent) {
          throw ReadFailure.corrupt("the acknowledgement of another notification");
        }
      }
      case ERROR -> throw Refusal.decode(wire.receive(answer));
      case HELLO, READ, DATA, NOTIFY ->
          throw ReadFailure.corrupt("a " + answer.type() + " frame in answer to a notification");
    }
    wire.rest();
  }

  @Override
  public void close() {
    closed = true;
    active.forEach(operation -> operation.stop(Cause.CLOSED, "the peer was closed"));
    closeIdle();
    Wire wire = notifications;
    if (wire != null) {
      wire.close();
    }
    Context.shutDown(readers);
    Context.shutDown(notifier);
    closeIdle();
    onClose.accept(this);
  }
}
