package dev.millrace.transfer.tcp;

import dev.millrace.transfer.NotificationHandler;
import dev.millrace.transfer.ReadOutcome.Cause;
import java.io.IOException;
import java.nio.channels.SocketChannel;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.LongAdder;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What the parts of one transport share: its memory, connections, counters and timer. */
final class Context {
  private static final Logger log = LoggerFactory.getLogger(TcpTransport.class);

  /** Longer deadlines are cut to this, so that no sum of nanoseconds overflows. */
  private static final Duration LONGEST = Duration.ofDays(1000);

  final TcpTransportOptions options;
  final UUID instance;
  final SecureRandom random;
  final MemoryTable memory = new MemoryTable();
  final LongAdder refused = new LongAdder();
  final LongAdder bytesRead = new LongAdder();
  final LongAdder bytesServed = new LongAdder();
  final LongAdder readsDone = new LongAdder();
  final LongAdder readsFailed = new LongAdder();
  final LongAdder notifications = new LongAdder();
  private final Set<Wire> wires = ConcurrentHashMap.newKeySet();
  private final Object delivery = new Object();
  private final ScheduledThreadPoolExecutor timer;
  private final ScheduledFuture<?> stallWatch;
  private volatile @Nullable NotificationHandler handler;

  Context(TcpTransportOptions options, SecureRandom random) {
    this.options = options;
    this.random = random;
    byte[] id = new byte[16];
    random.nextBytes(id);
    this.instance = UUID.nameUUIDFromBytes(id);
    this.timer = new ScheduledThreadPoolExecutor(1, threads("timer"));
    timer.setRemoveOnCancelPolicy(true);
    timer.setExecuteExistingDelayedTasksAfterShutdownPolicy(false);
    long everyMillis = Math.max(1, options.limits().stall().toMillis() / 10);
    this.stallWatch =
        timer.scheduleWithFixedDelay(
            () -> wires.forEach(wire -> wire.abortIfStalled(options.limits().stall())),
            everyMillis,
            everyMillis,
            TimeUnit.MILLISECONDS);
  }

  /** Daemon threads that are named after the transport and their role. */
  ThreadFactory threads(String role) {
    AtomicInteger number = new AtomicInteger();
    String prefix = "tcp-transport-" + options.name() + "-" + role + "-";
    return task -> {
      Thread thread = new Thread(task, prefix + number.incrementAndGet());
      thread.setDaemon(true);
      return thread;
    };
  }

  Wire wire(SocketChannel channel, String remote) throws IOException {
    Wire[] made = new Wire[1];
    Wire wire = new Wire(channel, remote, () -> wires.remove(made[0]));
    made[0] = wire;
    wires.add(wire);
    return wire;
  }

  int openConnections() {
    return wires.size();
  }

  void closeWires() {
    for (Wire wire : wires) {
      wire.abort(Cause.CLOSED, "the transport was closed");
    }
  }

  /** Stops {@code operation} when {@code deadline} has passed; cancel with the result. */
  Runnable stopAfter(Operation operation, Duration deadline, String what) {
    return after(
        deadline,
        () ->
            operation.stop(
                Cause.DEADLINE, "%s took longer than %d ms".formatted(what, deadline.toMillis())),
        () -> operation.stop(Cause.CLOSED, "the transport was closed"));
  }

  /**
   * Runs {@code task} on the timer's thread; cancel with the result. Where the transport is closed,
   * runs {@code whenClosed} instead, at once.
   */
  Runnable after(Duration delay, Runnable task, Runnable whenClosed) {
    Duration bounded = delay.compareTo(LONGEST) > 0 ? LONGEST : delay;
    try {
      var scheduled = timer.schedule(task, bounded.toNanos(), TimeUnit.NANOSECONDS);
      return () -> scheduled.cancel(false);
    } catch (RejectedExecutionException closed) {
      whenClosed.run();
      return () -> {};
    }
  }

  void stopTimer() {
    stallWatch.cancel(false);
    timer.shutdown();
  }

  void handler(NotificationHandler replacement) {
    handler = replacement;
  }

  /** False if nobody takes notifications. */
  Optional<String> deliver(String peer, byte[] payload) {
    synchronized (delivery) {
      NotificationHandler taker = handler;
      if (taker == null) {
        return Optional.of("it takes no notifications");
      }
      notifications.increment();
      try {
        taker.onNotification(peer, payload);
      } catch (RuntimeException e) {
        log.error("the handler of notifications failed on one from {}", peer, e);
      }
      return Optional.empty();
    }
  }

  /** Shuts an executor down and waits for its threads, unless it is one of them that calls. */
  static void shutDown(ThreadPoolExecutor executor) {
    executor.shutdown();
    if (Thread.currentThread().getName().startsWith("tcp-transport-")) {
      return;
    }
    try {
      if (!executor.awaitTermination(5, TimeUnit.SECONDS)) {
        log.warn("{} threads of the tcp transport did not end", executor.getActiveCount());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
