package dev.millrace.router.choose;

import dev.millrace.router.pools.RecentCounts;
import java.time.Duration;
import java.util.concurrent.atomic.LongAdder;

/**
 * How many retries a route may add to its requests. Shared by all event loops.
 *
 * <p>A bound per request does not bound the whole: where every worker fails, two retries make three
 * times the load out of it, just when there is too much already. So over the last ten seconds
 *
 * <pre>
 *  a retry is made  ⇔  retries + 1 ≤ requests · percent / 100 + FLOOR
 * </pre>
 *
 * <p>This is the budget of Finagle, linkerd and tower ({@code RetryBudget}: requests deposit,
 * retries withdraw, both expire after a {@code ttl} of 10 s, and {@code minRetriesPerSec · ttl} are
 * held in reserve, so that a route with few requests may retry too). Their defaults are a fifth of
 * the requests and ten a second; a retry here may compute a prompt of minutes once more, so it is a
 * tenth, and one a second.
 *
 * <p>What is no retry in this sense: to connect once more to the same worker, where a connection
 * that had been idle was closed under the request before a byte of the answer came. The worker was
 * closing it before it saw the request; nothing is computed twice, and it cannot become a storm,
 * since every such connection was left behind by a leg that ended well, and an exchange does it
 * once.
 *
 * @see <a href="https://finagle.github.io/blog/2016/02/08/retry-budgets/">Finagle: Retry
 *     Budgets</a>
 */
public final class RetryBudget {
  static final Duration WINDOW = Duration.ofSeconds(10);
  static final int FLOOR = 10;

  private final int percent;
  private final Books books;

  /** What has been asked, retried and refused; the same whatever the percentage becomes. */
  private static final class Books {
    /** Requests, and retries as those with the mark. */
    final RecentCounts recent = new RecentCounts(WINDOW);

    final LongAdder refused = new LongAdder();
    long retries;

    /** Taken back, but still among the retries: a counter that falls is taken for a restart. */
    long tooMany;
  }

  private RetryBudget(int percent, Books books) {
    this.percent = percent;
    this.books = books;
  }

  /** A budget of which nothing is spent. */
  public RetryBudget(int percent) {
    this(percent, new Books());
  }

  /** The same books with another percentage from now on. */
  RetryBudget withPercent(int newPercent) {
    return new RetryBudget(newPercent, books);
  }

  /** Counts a request, whatever becomes of it. */
  public void asked(long nowNanos) {
    synchronized (books) {
      books.recent.count(1, nowNanos);
    }
  }

  /** Spends one retry; false if there is none to spend. */
  public boolean spend(long nowNanos) {
    synchronized (books) {
      long beyondFloor = books.recent.marked(nowNanos) + 1 - FLOOR;
      if (100 * beyondFloor <= percent * books.recent.all(nowNanos)) {
        books.recent.countMarked(1, nowNanos);
        if (books.tooMany > 0) {
          books.tooMany--;
        } else {
          books.retries++;
        }
        return true;
      }
    }
    books.refused.increment();
    return false;
  }

  /**
   * Takes back what was spent on a retry that found nobody to go to.
   *
   * @param spentNanos when it was spent, a moment ago
   */
  public void unspend(long spentNanos) {
    synchronized (books) {
      books.recent.countMarked(-1, spentNanos);
      books.tooMany++;
    }
  }

  /** Retries so far. */
  public long retries() {
    synchronized (books) {
      return books.retries;
    }
  }

  /** Failures that were answered as they were because the budget was spent. */
  public long refused() {
    return books.refused.sum();
  }
}
