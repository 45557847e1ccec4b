package dev.millrace.router.choose;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

final class RetryBudgetTest {
  private static final long START = -7_000_000_000L;

  /** So much longer than the window do requests count at most. */
  private static final Duration SLICE = RetryBudget.WINDOW.dividedBy(10);

  private static int spend(RetryBudget budget, int times, long nowNanos) {
    int spent = 0;
    for (int i = 0; i < times; i++) {
      spent += budget.spend(nowNanos) ? 1 : 0;
    }
    return spent;
  }

  private static void ask(RetryBudget budget, int times, long nowNanos) {
    for (int i = 0; i < times; i++) {
      budget.asked(nowNanos);
    }
  }

  @Test
  void quietRoute_mayRetryToo() {
    RetryBudget budget = new RetryBudget(10);
    budget.asked(START);

    assertThat(spend(budget, 50, START)).isEqualTo(RetryBudget.FLOOR);
    assertThat(budget.retries()).isEqualTo(RetryBudget.FLOOR);
    assertThat(budget.refused()).isEqualTo(50 - RetryBudget.FLOOR);
  }

  @Test
  void busyRoute_mayRetryItsShareBeside() {
    RetryBudget budget = new RetryBudget(10);
    ask(budget, 1000, START);

    assertThat(spend(budget, 1000, START)).isEqualTo(100 + RetryBudget.FLOOR);
  }

  @Test
  void whatWasSpent_isThereAgainAfterTheWindow() {
    RetryBudget budget = new RetryBudget(10);
    spend(budget, 50, START);

    assertThat(budget.spend(START + RetryBudget.WINDOW.toNanos() - 1)).isFalse();
    long later = START + RetryBudget.WINDOW.plus(SLICE).toNanos();
    assertThat(spend(budget, 50, later)).isEqualTo(RetryBudget.FLOOR);
  }

  @Test
  void requestsOfLongAgo_buyNothing() {
    RetryBudget budget = new RetryBudget(100);
    ask(budget, 1000, START);

    long later = START + RetryBudget.WINDOW.plus(SLICE).toNanos();
    assertThat(spend(budget, 1000, later)).isEqualTo(RetryBudget.FLOOR);
  }

  @Test
  void retryThatFoundNobody_isNotSpent() {
    RetryBudget budget = new RetryBudget(0);
    for (int i = 0; i < 100; i++) {
      assertThat(budget.spend(START)).isTrue();
      budget.unspend(START);
    }

    assertThat(budget.retries()).as("a counter never falls").isOne();
    assertThat(spend(budget, 50, START)).isEqualTo(RetryBudget.FLOOR);
    assertThat(budget.retries()).isEqualTo(RetryBudget.FLOOR);
  }

  @Test
  void anotherPercentage_hasTheSameBooks() {
    RetryBudget before = new RetryBudget(100);
    ask(before, 100, START);
    assertThat(spend(before, 60, START)).isEqualTo(60);

    RetryBudget after = before.withPercent(50);

    assertThat(spend(after, 60, START)).as("50 of 100, and the floor").isZero();
    assertThat(spend(before.withPercent(55), 60, START)).isEqualTo(5);
    assertThat(after.retries()).isEqualTo(65);
  }

  /** Whatever comes in whatever order: within every window the retries stay within the budget. */
  @Property(tries = 300)
  void neverMoreThanTheBudget(
      @ForAll @IntRange(max = 100) int percent, @ForAll @Size(max = 400) int[] steps) {
    RetryBudget budget = new RetryBudget(percent);
    List<Long> requests = new ArrayList<>();
    List<Long> retries = new ArrayList<>();
    long now = START;
    for (int step : steps) {
      now +=
          Duration.ofMillis(Math.floorMod(step, 7) == 0 ? Math.floorMod(step, 4000) : 3).toNanos();
      if (Math.floorMod(step, 3) == 0) {
        budget.asked(now);
        requests.add(now);
      } else if (budget.spend(now)) {
        retries.add(now);
        long window = RetryBudget.WINDOW.toNanos();
        assertThat(100 * (since(retries, now - window) - RetryBudget.FLOOR))
            .isLessThanOrEqualTo(percent * since(requests, now - window - SLICE.toNanos()));
      }
    }
  }

  private static long since(List<Long> moments, long thenNanos) {
    return moments.stream().filter(moment -> moment > thenNanos).count();
  }

  /** A hundred requests a second for a minute, of which every try fails. */
  @Test
  void whereEverythingFails_inNumbers() {
    int perSecond = 100;
    int seconds = 60;
    RetryBudget budget = new RetryBudget(10);
    int bounded = 0;
    int unbounded = 0;
    for (int i = 0; i < perSecond * seconds; i++) {
      long now = START + i * (1_000_000_000L / perSecond);
      budget.asked(now);
      bounded++;
      unbounded++;
      for (int retry = 0; retry < 3; retry++) {
        unbounded++;
        bounded += budget.spend(now) ? 1 : 0;
      }
    }
    System.out.printf(
        "tries of %d requests that all fail, three retries each: %d, with a budget of 10 %%: %d%n",
        perSecond * seconds, unbounded, bounded);

    int requests = perSecond * seconds;
    assertThat(unbounded).isEqualTo(4 * requests);
    assertThat(bounded)
        .isBetween(
            requests + requests / 10, requests + requests / 10 + seconds + RetryBudget.FLOOR);
  }
}
