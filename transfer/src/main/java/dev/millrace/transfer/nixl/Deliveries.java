package dev.millrace.transfer.nixl;

import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Where the transport meets the application: futures complete and handlers run on this one thread,
 * in order, so that code that takes too long delays other deliveries and no native call.
 */
final class Deliveries implements AutoCloseable {
  private final ExecutorService thread;
  private final AtomicInteger notifications = new AtomicInteger();
  private final int mostNotifications;

  Deliveries(ThreadFactory threads, int mostNotifications) {
    this.thread = Executors.newSingleThreadExecutor(threads);
    this.mostNotifications = mostNotifications;
  }

  /** Whether more notifications may be taken from NIXL. */
  boolean hasRoom() {
    return notifications.get() < mostNotifications;
  }

  void notification(Runnable delivery) {
    notifications.incrementAndGet();
    completion(() -> {
      try {
        delivery.run();
      } finally {
        notifications.decrementAndGet();
      }
    });
  }

  void completion(Runnable delivery) {
    try {
      thread.execute(delivery);
    } catch (RejectedExecutionException e) {
      // After the end, what is still to be told is told where we are.
      delivery.run();
    }
  }

  /** What has been handed over is still delivered. */
  @Override
  public void close() {
    thread.shutdown();
  }
}
