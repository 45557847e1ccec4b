package dev.millrace.cli;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.concurrent.ThreadLocalRandom;

/**
 * A port for a process that is to have it again when it is started anew. One that the system
 * chooses does not do: it is of the range from which outgoing connections get theirs, and one of
 * them may have it for hours when the process comes back.
 */
final class KeptPort {
  /** Above what services are registered for, below the ports of outgoing connections (Linux). */
  private static final int FIRST = 12_000;

  private static final int LAST = 32_000;
  private static final int TRIES = 100;

  private KeptPort() {}

  /** One that nobody listens on now. */
  static int any() {
    for (int i = 0; i < TRIES; i++) {
      int port = ThreadLocalRandom.current().nextInt(FIRST, LAST);
      try (ServerSocket free = new ServerSocket(port, 1, InetAddress.getLoopbackAddress())) {
        return free.getLocalPort();
      } catch (IOException taken) {
        // Another one, then.
      }
    }
    throw Failure.usage(
        "no free port was found between %d and %d on the loopback address".formatted(FIRST, LAST));
  }
}
