package dev.millrace.router.edges;

import java.util.concurrent.atomic.AtomicInteger;

/**
 * The same misfortune several times in a row. A single one may have been a request's own; three
 * without a success in between are the edge's.
 */
final class Streak {
  private static final int TOO_MANY = 3;

  private final AtomicInteger length = new AtomicInteger();

  /** Once more; whether that is too often. */
  boolean longer() {
    return length.incrementAndGet() >= TOO_MANY;
  }

  /** It went well. */
  void end() {
    if (length.get() != 0) {
      length.set(0);
    }
  }
}
