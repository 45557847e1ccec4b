package dev.millrace.transfer.nixl;

import dev.millrace.transfer.ReadOutcome.Cause;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.locks.LockSupport;

/**
 * A thread that works on reads. It posts and polls in turn, so that one large read does not stand
 * in front of a small one, and rests between polls that found nothing: shortly while bytes are
 * under way, longer when all it has is quarantined.
 */
final class TransferLoop {
  private static final long SHORTEST_REST_NANOS = 20_000;
  private static final long LONGEST_REST_NANOS = 200_000;
  private static final long QUARANTINE_REST_NANOS = 5_000_000;

  private final NixlLimits limits;
  private final Thread thread;
  private final Queue<NixlRead> incoming;
  private final List<NixlRead> active = new ArrayList<>();
  private volatile boolean closing;
  private volatile boolean stopping;

  TransferLoop(ThreadFactory threads, NixlLimits limits) {
    this.limits = limits;
    this.incoming = new ArrayBlockingQueue<>(limits.readsWaiting());
    this.thread = threads.newThread(this::run);
  }

  void start() {
    thread.start();
  }

  /** Takes a read over; false if too many wait already. */
  boolean add(NixlRead read) {
    boolean taken = incoming.offer(read);
    LockSupport.unpark(thread);
    return taken;
  }

  private void run() {
    long rest = SHORTEST_REST_NANOS;
    while (!stopping) {
      boolean happened = takeIncoming();
      if (closing) {
        active.forEach(read -> read.stop(Cause.CLOSED, "the transport was closed"));
        stopping |= active.isEmpty();
      }
      boolean waiting = false;
      long now = System.nanoTime();
      for (int i = active.size() - 1; i >= 0; i--) {
        NixlRead read = active.get(i);
        happened |= read.step(now);
        if (read.isOver()) {
          active.remove(i);
        } else {
          waiting |= !read.isQuarantined();
        }
      }
      if (happened) {
        rest = SHORTEST_REST_NANOS;
      } else if (active.isEmpty()) {
        if (!closing) {
          LockSupport.park(this);
        }
      } else {
        LockSupport.parkNanos(this, waiting ? rest : QUARANTINE_REST_NANOS);
        rest = Math.min(rest * 2, LONGEST_REST_NANOS);
      }
    }
    for (NixlRead read = incoming.poll(); read != null; read = incoming.poll()) {
      active.add(read);
    }
    active.forEach(read -> read.abandonAll("the transport was closed"));
  }

  private boolean takeIncoming() {
    boolean taken = false;
    int working = 0;
    for (NixlRead read : active) {
      working += read.isQuarantined() ? 0 : 1;
    }
    while (working < limits.readsAtOnce()) {
      NixlRead read = incoming.poll();
      if (read == null) {
        break;
      }
      active.add(read);
      working++;
      taken = true;
    }
    return taken;
  }

  /** Wakes the thread: a read was told to stop. */
  void wake() {
    LockSupport.unpark(thread);
  }

  /** Ends all reads; their requests may still come to their natural end. */
  void close() {
    closing = true;
    LockSupport.unpark(thread);
  }

  /**
   * Ends the thread, after which its requests are given back and the agent must be destroyed before
   * {@link #letGo}.
   *
   * @param settling how long requests may still take. A peer that sends to an agent that is
   *     destroyed may crash in UCX; a living one needs milliseconds
   * @param patience how long a native call may take after that
   * @return false if one did not return
   */
  boolean stop(Duration settling, Duration patience) {
    if (ControlLoop.join(thread, settling)) {
      return true;
    }
    stopping = true;
    LockSupport.unpark(thread);
    return ControlLoop.join(thread, patience);
  }

  void letGo() {
    active.forEach(NixlRead::letGo);
    active.clear();
  }
}
