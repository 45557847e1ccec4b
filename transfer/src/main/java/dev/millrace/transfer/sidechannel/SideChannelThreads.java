package dev.millrace.transfer.sidechannel;

import java.io.Closeable;
import java.io.IOException;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.atomic.AtomicInteger;

/** Threads that do not keep the process alive, and how they are made to leave a system call. */
final class SideChannelThreads {
  private SideChannelThreads() {}

  static ThreadFactory named(String role) {
    AtomicInteger number = new AtomicInteger();
    return task -> {
      Thread thread = new Thread(task, "side-channel-" + role + "-" + number.incrementAndGet());
      thread.setDaemon(true);
      return thread;
    };
  }

  static void close(Closeable socket) {
    try {
      socket.close();
    } catch (IOException e) {
      // Nothing can be done for a socket that does not even close.
    }
  }
}
