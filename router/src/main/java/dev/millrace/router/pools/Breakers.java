package dev.millrace.router.pools;

import dev.millrace.config.Health;
import java.time.Duration;
import java.util.List;
import java.util.random.RandomGenerator;

/**
 * The breakers of a pool, and how many of them may be open.
 *
 * <pre>
 *  one more may be out of use  ⇔  out + 1 ≤ max(1, ⌊workers · percent / 100⌋)  and another one is in use
 * </pre>
 *
 * <p>This is {@code max_ejection_percent} of Envoy's outlier detection, with the last worker always
 * kept: what all of them do wrong is mended by nobody's leaving, and requests that take turns on
 * workers that fail do better than those that find none. Workers that are being drained count
 * neither as in use nor among the workers.
 *
 * @see <a
 *     href="https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier">Envoy:
 *     Outlier detection</a>
 */
public final class Breakers {
  private final RandomGenerator random;
  private volatile Health rules;
  private volatile List<Worker> workers = List.of();
  private volatile boolean allClosed = true;

  /**
   * Those of a pool without workers yet.
   *
   * @param random may be used by several threads
   */
  Breakers(Health rules, RandomGenerator random) {
    this.rules = rules;
    this.random = random;
  }

  /** Goes by other rules from now on, for these workers. */
  synchronized void become(Health newRules, List<Worker> newWorkers) {
    rules = newRules;
    workers = List.copyOf(newWorkers);
    changed();
  }

  Health rules() {
    return rules;
  }

  /** Whether all workers are in use; what nearly always is so, and quickly known. */
  public boolean areClosed() {
    return allClosed;
  }

  /** Has a closed one opened, if there may be one more that is open. */
  synchronized boolean mayOpen(Breaker breaker, Runnable opening) {
    int all = 0;
    int closed = 0;
    for (Worker worker : workers) {
      if (!worker.isDraining()) {
        all++;
        closed += worker.breaker().isClosed() ? 1 : 0;
      }
    }
    int percent = rules.maxEjectionPercent();
    int open = all - closed;
    boolean allowed = percent > 0 && closed > 1 && open + 1 <= Math.max(1, all * percent / 100);
    if (allowed) {
      opening.run();
    }
    return allowed;
  }

  synchronized void changed() {
    boolean closed = true;
    for (Worker worker : workers) {
      closed &= worker.breaker().isClosed();
    }
    allClosed = closed;
  }

  /** A time that several routers do not all choose. */
  Duration spread(Duration time) {
    return Duration.ofNanos((long) (time.toNanos() * (1 - random.nextDouble() / 4)));
  }
}
