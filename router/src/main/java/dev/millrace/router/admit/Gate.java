package dev.millrace.router.admit;

import dev.millrace.config.Limits;
import dev.millrace.router.http.Problem;
import java.time.Duration;
import java.util.Comparator;
import java.util.Optional;
import java.util.TreeSet;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * The places of a route, for all event loops.
 *
 * <p>A place that becomes free goes to the first in the queue, so nobody overtakes whoever waits:
 * as long as somebody does, all places are taken. The lock is held for a few instructions, once to
 * enter and once to leave; whoever is called is called after it.
 */
public final class Gate {
  /** Of higher priority first, of the same priority in the order in which they came. */
  private static final Comparator<Waiter> ORDER =
      Comparator.comparingInt((Waiter waiter) -> -waiter.priority)
          .thenComparingLong(waiter -> waiter.number);

  private volatile Limits limits;
  private volatile PerMinute perMinute;
  private final ReentrantLock lock = new ReentrantLock();
  private final TreeSet<Waiter> queue = new TreeSet<>(ORDER);
  private final LongAdder refused = new LongAdder();
  private int taken;
  private volatile boolean empty = true;
  private long numbers;

  /** A gate with every place free. */
  public Gate(Limits limits) {
    this.limits = limits;
    this.perMinute = new PerMinute(limits);
  }

  /** What it lets through. */
  public Limits limits() {
    return limits;
  }

  /** Lets more or fewer through from now on; whoever is inside stays. */
  public void setLimits(Limits newLimits) {
    limits = newLimits;
    perMinute = perMinute.with(newLimits);
    for (Waiter next = nextIfFree(); next != null; next = nextIfFree()) {
      next.whenFree.takes(new Place(this));
    }
  }

  private @Nullable Waiter nextIfFree() {
    lock.lock();
    try {
      Waiter next = taken < limits.concurrent() ? queue.pollFirst() : null;
      if (next != null) {
        take();
      }
      return next;
    } finally {
      lock.unlock();
    }
  }

  /** Whether tokens are counted of those that it lets through. */
  public boolean countsTokens() {
    return perMinute.countsTokens();
  }

  /** How many of them there are in a minute; 0 if they are not counted. */
  public long tokensPerMinute() {
    return limits.tokensPerMinute().orElse(0);
  }

  /**
   * Counts one more request of this minute.
   *
   * @return why it is one too many, if so
   */
  public Optional<Problem> takeRequest(long nowNanos) {
    return beyond(perMinute.takeRequest(nowNanos), "requests");
  }

  /**
   * Counts tokens of this minute, before they are used.
   *
   * @return why they are too many, if so
   */
  public Optional<Problem> takeTokens(long many, long nowNanos) {
    return beyond(perMinute.takeTokens(many, nowNanos), "tokens");
  }

  /** Counts fewer, or with a number below zero more. */
  public void giveBackTokens(long many, long nowNanos) {
    perMinute.giveBackTokens(many, nowNanos);
  }

  private Optional<Problem> beyond(Duration pause, String what) {
    if (pause.isZero()) {
      return Optional.empty();
    }
    refused.increment();
    return Optional.of(
        new Problem(
            Problem.Side.US,
            503,
            "overloaded",
            "The route has taken on as many %s as it does in a minute".formatted(what),
            Problem.Retry.after(pause)));
  }

  /** What came of asking for a place. */
  public sealed interface Entry {
    /** There was one. */
    record Admitted(Place place) implements Entry {}

    /** There is none yet; the waiter is called when there is. */
    record Queued(Waiter waiter) implements Entry {}

    /** There is none, and too many wait for one. */
    record Full() implements Entry {}
  }

  /** Is called once, on the thread of whoever gave its place back. */
  @FunctionalInterface
  public interface WhenFree {
    /** Takes the place over. */
    void takes(Place place);
  }

  /**
   * Asks for a place.
   *
   * @param priority the higher, the earlier
   * @param whenFree called if it is queued, unless it leaves the queue first
   */
  public Entry enter(int priority, WhenFree whenFree) {
    lock.lock();
    try {
      if (taken < limits.concurrent()) {
        take();
        return new Entry.Admitted(new Place(this));
      }
      if (queue.size() >= limits.waiting()) {
        refused.increment();
        return new Entry.Full();
      }
      Waiter waiter = new Waiter(this, priority, numbers++, whenFree);
      queue.add(waiter);
      return new Entry.Queued(waiter);
    } finally {
      lock.unlock();
    }
  }

  private void left() {
    Waiter next = nextOrFree();
    if (next != null) {
      next.whenFree.takes(new Place(this));
    }
  }

  private @Nullable Waiter nextOrFree() {
    lock.lock();
    try {
      Waiter next = taken <= limits.concurrent() ? queue.pollFirst() : null;
      if (next == null) {
        taken--;
        empty = taken == 0;
      }
      return next;
    } finally {
      lock.unlock();
    }
  }

  private void take() {
    taken++;
    empty = false;
  }

  private boolean withdraw(Waiter waiter) {
    lock.lock();
    try {
      return queue.remove(waiter);
    } finally {
      lock.unlock();
    }
  }

  /** How many have a place. */
  public int inside() {
    lock.lock();
    try {
      return taken;
    } finally {
      lock.unlock();
    }
  }

  /** Whether nobody has a place; without the lock. */
  public boolean isEmpty() {
    return empty;
  }

  /** How many wait for one. */
  public int waiting() {
    lock.lock();
    try {
      return queue.size();
    } finally {
      lock.unlock();
    }
  }

  /** How many were turned away so far: by a full queue, by their patience, as beyond a rate. */
  public long refused() {
    return refused.sum();
  }

  /** A place that is taken. Owned by the event loop of its exchange. */
  public static final class Place {
    private final Gate gate;
    private boolean held = true;

    private Place(Gate gate) {
      this.gate = gate;
    }

    /** Gives it back; later calls do nothing. */
    public void release() {
      if (held) {
        held = false;
        gate.left();
      }
    }
  }

  /** Somebody in the queue. */
  public static final class Waiter {
    private final Gate gate;
    private final int priority;
    private final long number;
    private final WhenFree whenFree;

    private Waiter(Gate gate, int priority, long number, WhenFree whenFree) {
      this.gate = gate;
      this.priority = priority;
      this.number = number;
      this.whenFree = whenFree;
    }

    /** Leaves the queue because the client has; false if its place is on its way already. */
    boolean leave() {
      return gate.withdraw(this);
    }

    /** Leaves the queue because it has waited for long enough; false if its place is on its way. */
    boolean giveUp() {
      boolean left = gate.withdraw(this);
      if (left) {
        gate.refused.increment();
      }
      return left;
    }
  }
}
