package dev.millrace.router.pools;

import dev.millrace.config.Health;
import java.time.Duration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Whether a worker is given exchanges: a circuit breaker. Shared by all event loops.
 *
 * <pre>
 *            failures in a row, or too large a share of legs;
 *            or it does not answer whoever watches it
 *  CLOSED ───────────────────────────────────────────────────▶ OPEN
 *   ▲  │ ▲                                                     ▲  │ its time is over,
 *   │  │ └── success ──────────────── TRIAL ──── failure ──────┘  │ or it answers again
 *   │  │                                ▲                         │
 *   │  │ asks for a pause               └────── one exchange ─────┘
 *   │  ▼
 *  COOLING   until the pause is over
 * </pre>
 *
 * <p>The time of the {@code n}th ejection in a row is
 *
 * <pre>
 *  t(n) = min(longest, first · 2^(n-1)) · (1 - random / 4)
 * </pre>
 *
 * <p>and a worker that has been in use for the longest time begins with the first again. The random
 * part keeps several routers from trying a worker at the same moment. While it is out there is one
 * trial at a time, an exchange like any other; what the first leg of it comes to decides.
 *
 * <p>The pool has the last word: see {@link Breakers}. Doubling is as for edges; Envoy's outlier
 * detection, from which the terms are, adds the first time once more instead, and has no trials.
 */
public final class Breaker {
  private static final Logger LOG = LoggerFactory.getLogger(Breaker.class);

  static final Duration WINDOW = Duration.ofSeconds(30);

  /** Whoever watches a worker asks more often than that; if nobody does any more, it is over. */
  static final Duration MISSED_FOR = Duration.ofSeconds(10);

  private enum State {
    CLOSED,
    OPEN,
    TRIAL,
    COOLING
  }

  /** What an exchange may do that has picked the worker. */
  public enum Entry {
    /** Go there. */
    FREE,
    /** Go there; what comes of it decides about the worker. */
    TRIAL,
    /** Pick another one. */
    SHUT
  }

  /**
   * How it stands, for operators.
   *
   * @param state in a word
   * @param why it is not in use; empty if it is
   * @param left until it may be again; zero if that is not a matter of time
   */
  public record View(String state, String why, Duration left) {}

  private final Worker worker;
  private final Breakers all;
  private final RecentCounts legs = new RecentCounts(WINDOW);
  private volatile State state = State.CLOSED;
  private int failuresInARow;
  private int ejectionsInARow;
  private long untilNanos;
  private long closedNanos;
  private boolean missing;
  private String why = "";
  private long ejections;
  private long withheld;

  Breaker(Worker worker, Breakers all) {
    this.worker = worker;
    this.all = all;
  }

  /** Whether nothing is held against the worker. */
  public boolean isClosed() {
    return state == State.CLOSED;
  }

  // ---- who may go there ----

  /** Whether an exchange that picks the worker now may go there. */
  public boolean isOpenTo(long nowNanos) {
    return isClosed() || isDue(nowNanos);
  }

  private synchronized boolean isDue(long nowNanos) {
    return switch (state) {
      case CLOSED -> true;
      case OPEN, COOLING -> nowNanos - untilNanos >= 0;
      case TRIAL -> false;
    };
  }

  /** An exchange has picked the worker. */
  public Entry enter(long nowNanos) {
    return isClosed() ? Entry.FREE : enterIfDue(nowNanos);
  }

  private synchronized Entry enterIfDue(long nowNanos) {
    if (!isDue(nowNanos)) {
      return Entry.SHUT;
    }
    if (state == State.OPEN) {
      missing = false;
      become(State.TRIAL);
      return Entry.TRIAL;
    }
    become(State.CLOSED);
    return Entry.FREE;
  }

  /** The exchange that was to try the worker has left without a verdict; another one may. */
  public synchronized void trialOver() {
    if (state == State.TRIAL) {
      become(State.OPEN);
    }
  }

  // ---- what becomes of legs ----

  /** A leg got what it was for, or an error that is the client's. */
  public synchronized void succeeded(long nowNanos) {
    legs.count(1, nowNanos);
    failuresInARow = 0;
    if (state == State.TRIAL) {
      legs.clear();
      closedNanos = nowNanos;
      become(State.CLOSED);
      LOG.info("{} is in use again", worker);
    }
  }

  /**
   * A leg failed, and the worker is to blame.
   *
   * @param what for people
   */
  public synchronized void failed(String what, long nowNanos) {
    legs.count(1, nowNanos);
    legs.countMarked(1, nowNanos);
    failuresInARow++;
    Health rules = all.rules();
    switch (state) {
      case TRIAL -> eject(what, nowNanos);
      case CLOSED, COOLING -> {
        long failed = legs.marked(nowNanos);
        long asked = legs.all(nowNanos);
        if (failuresInARow >= rules.consecutiveFailures()) {
          eject("%d legs failed in a row; %s".formatted(failuresInARow, what), nowNanos);
        } else if (asked >= rules.failureLegs() && 100 * failed >= rules.failurePercent() * asked) {
          eject("%d of %d legs failed; %s".formatted(failed, asked, what), nowNanos);
        }
      }
      case OPEN -> {}
    }
  }

  /**
   * The worker has refused a leg and said when to come back. That is no failure; but until then it
   * gets nothing.
   */
  public synchronized void coolDown(Duration pause, long nowNanos) {
    Duration longest = all.rules().maxEjectionTime();
    long until = nowNanos + (pause.compareTo(longest) < 0 ? pause : longest).toNanos();
    switch (state) {
      case CLOSED -> {
        if (all.mayOpen(this, () -> become(State.COOLING))) {
          why = "it asked for a pause";
          untilNanos = until;
        }
      }
      case COOLING -> untilNanos = Math.max(until, untilNanos);
      case TRIAL -> {
        untilNanos = until;
        become(State.OPEN);
      }
      case OPEN -> {}
    }
  }

  private void eject(String what, long nowNanos) {
    Health rules = all.rules();
    if (state == State.CLOSED && nowNanos - closedNanos > rules.maxEjectionTime().toNanos()) {
      ejectionsInARow = 0;
    }
    boolean again = state != State.CLOSED;
    if (!again && !all.mayOpen(this, () -> become(State.OPEN))) {
      withheld++;
      return;
    }
    become(State.OPEN);
    ejections++;
    long nanos = all.spread(ejectionTime(rules, ejectionsInARow++)).toNanos();
    untilNanos = nowNanos + nanos;
    why = what;
    if (again) {
      LOG.debug("{} stays out of use for {} ms: {}", worker, nanos / 1_000_000, what);
    } else {
      LOG.warn("{} is out of use for {} ms: {}", worker, nanos / 1_000_000, what);
    }
  }

  private static Duration ejectionTime(Health rules, int before) {
    Duration time = rules.ejectionTime();
    for (int i = 0; i < before && time.compareTo(rules.maxEjectionTime()) < 0; i++) {
      time = time.multipliedBy(2);
    }
    return time.compareTo(rules.maxEjectionTime()) < 0 ? time : rules.maxEjectionTime();
  }

  // ---- what the watch sees ----

  /** It does not answer whoever watches it, who asks on and says so again until it does. */
  public synchronized void isMissing(String what, long nowNanos) {
    if (state == State.CLOSED && !all.mayOpen(this, () -> become(State.OPEN))) {
      withheld++;
      return;
    }
    if (!missing) {
      missing = true;
      ejections++;
      why = "it does not answer: " + what;
    }
    untilNanos = nowNanos + MISSED_FOR.toNanos();
    become(State.OPEN);
  }

  /** It answers. If it had not, it may be tried at once. */
  public synchronized void isThere(long nowNanos) {
    if (missing) {
      missing = false;
      untilNanos = nowNanos;
    }
  }

  // ---- for operators ----

  /** How it stands. */
  public synchronized View view(long nowNanos) {
    Duration left =
        state == State.CLOSED || state == State.TRIAL
            ? Duration.ZERO
            : Duration.ofNanos(Math.max(0, untilNanos - nowNanos));
    return switch (state) {
      case CLOSED -> new View("in_use", "", left);
      case OPEN -> new View("ejected", why, left);
      case TRIAL -> new View("on_trial", why, left);
      case COOLING -> left.isZero() ? new View("in_use", "", left) : new View("cooling", why, left);
    };
  }

  /** How often it was taken out of use for failing. */
  public synchronized long ejections() {
    return ejections;
  }

  /** How often it was not, because too few would have been left. */
  public synchronized long withheld() {
    return withheld;
  }

  private void become(State next) {
    state = next;
    all.changed();
  }
}
