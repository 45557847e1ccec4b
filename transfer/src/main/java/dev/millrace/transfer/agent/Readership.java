package dev.millrace.transfer.agent;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/**
 * Who has been sent to a copy, and who is done with it.
 *
 * <p>A reader is one decode engine's read of the copy, under a request id of its own. It is done
 * when each of its ranks has said so: the copy is served by as many ranks as the reader has, so
 * each notifies once (vLLM v0.32, {@code nixl/pull_worker.py}); all of the agent's ranks are one
 * transport, which tells senders apart and not whom they meant.
 *
 * <p>The copy is done with when no reader is left of those who were sent, and as many were as it
 * was made for. A reader that never says anything keeps it to its expiry: it may still read, and
 * must not find another request's bytes.
 *
 * <p>Not thread-safe; {@link Copies} guards it.
 */
final class Readership {
  private final int ranks;
  private final Map<String, Set<String>> reading = new HashMap<>();
  private int awaited;

  /**
   * Nobody has been sent yet.
   *
   * @param ranks of each reader
   * @param awaited readers for whom the copy is made
   */
  Readership(int ranks, int awaited) {
    this.ranks = ranks;
    this.awaited = awaited;
  }

  /** Readers that have been sent and are not done. */
  int open() {
    return reading.size();
  }

  /** One more is sent. */
  void send(String readerId) {
    reading.put(readerId, new HashSet<>());
  }

  /** At least so many readers have yet to be done, those who are reading among them. */
  void await(int readers) {
    awaited = Math.max(awaited, readers);
  }

  boolean isReading(String readerId) {
    return reading.containsKey(readerId);
  }

  /** A rank is done; says whether the whole copy is done with. */
  boolean done(String readerId, String sender) {
    Set<String> told = reading.get(readerId);
    if (told == null) {
      return false;
    }
    told.add(sender);
    if (told.size() < ranks) {
      return false;
    }
    reading.remove(readerId);
    awaited--;
    return reading.isEmpty() && awaited <= 0;
  }
}
