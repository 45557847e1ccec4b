package dev.millrace.router.pools;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.EngineKind;
import dev.millrace.config.Health;
import dev.millrace.config.Listen;
import dev.millrace.config.Pool;
import dev.millrace.config.Role;
import dev.millrace.config.Route;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.Stage;
import dev.millrace.config.WorkerAddress;
import dev.millrace.router.pools.Breaker.Entry;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class BreakerTest {
  private static final Duration FIRST = Duration.ofSeconds(8);
  private static final Duration LONGEST = Duration.ofSeconds(60);
  private static final Health RULES = new Health(3, 50, 10, FIRST, LONGEST, 50);

  private long now = -9_000_000_000L;

  private static RoutingTable table(int workers, Health rules) {
    List<WorkerAddress> addresses =
        IntStream.range(0, workers)
            .mapToObj(i -> WorkerAddress.of(URI.create("http://10.0.0.1:" + (8000 + i))))
            .toList();
    Pool pool = Pool.of("p", Role.BOTH, "m", EngineKind.VLLM, addresses).withHealth(rules);
    return RoutingTable.of(
        Listen.defaults(),
        dev.millrace.config.Admin.defaults(),
        List.of(pool),
        List.of(),
        List.of(Route.aggregated("m", Stage.roundRobin("p"))));
  }

  private static List<Worker> pool(int workers) {
    return new Workers(table(workers, RULES)).ofPool("p");
  }

  private static Breaker breaker() {
    return pool(2).getFirst().breaker();
  }

  private void fail(Breaker breaker, int times) {
    for (int i = 0; i < times; i++) {
      breaker.failed("it broke", now);
    }
  }

  private void pass(Duration time) {
    now += time.toNanos();
  }

  @Test
  void failuresInARow_open() {
    Breaker breaker = breaker();
    fail(breaker, 2);
    breaker.succeeded(now);
    fail(breaker, 2);
    assertThat(breaker.isClosed()).isTrue();

    fail(breaker, 1);

    assertThat(breaker.isClosed()).isFalse();
    assertThat(breaker.enter(now)).isEqualTo(Entry.SHUT);
    assertThat(breaker.view(now).state()).isEqualTo("ejected");
    assertThat(breaker.view(now).why()).isEqualTo("3 legs failed in a row; it broke");
    assertThat(breaker.ejections()).isOne();
  }

  @Test
  void largeShareOfFailures_opens() {
    Breaker breaker = breaker();
    for (int i = 0; i < 4; i++) {
      fail(breaker, 1);
      breaker.succeeded(now);
    }
    assertThat(breaker.isClosed()).as("too few to tell").isTrue();

    breaker.succeeded(now);
    fail(breaker, 1);

    assertThat(breaker.view(now).why()).startsWith("5 of 10 legs failed");
  }

  @Test
  void failuresOfLongAgo_doNotCount() {
    Breaker breaker = breaker();
    for (int i = 0; i < 4; i++) {
      fail(breaker, 1);
      breaker.succeeded(now);
    }
    pass(Breaker.WINDOW.multipliedBy(2));

    breaker.succeeded(now);
    fail(breaker, 1);

    assertThat(breaker.isClosed()).isTrue();
  }

  @Test
  void whenItsTimeIsOver_oneExchangeTries() {
    Breaker breaker = breaker();
    fail(breaker, 3);
    pass(FIRST.multipliedBy(3).dividedBy(4).minusNanos(1));
    assertThat(breaker.isOpenTo(now)).as("the random part is a quarter at most").isFalse();
    pass(FIRST.dividedBy(4).plusNanos(1));

    assertThat(breaker.enter(now)).isEqualTo(Entry.TRIAL);

    assertThat(breaker.isOpenTo(now)).isFalse();
    assertThat(breaker.enter(now)).isEqualTo(Entry.SHUT);
    assertThat(breaker.view(now).state()).isEqualTo("on_trial");
  }

  @Test
  void trialThatGoesWell_closes() {
    Breaker breaker = breaker();
    fail(breaker, 3);
    pass(FIRST);
    breaker.enter(now);

    breaker.succeeded(now);
    breaker.trialOver();

    assertThat(breaker.isClosed()).isTrue();
    fail(breaker, 2);
    assertThat(breaker.isClosed()).as("it begins anew").isTrue();
  }

  @Test
  void trialThatSaysNothing_letsAnotherTry() {
    Breaker breaker = breaker();
    fail(breaker, 3);
    pass(FIRST);
    breaker.enter(now);

    breaker.trialOver();

    assertThat(breaker.enter(now)).isEqualTo(Entry.TRIAL);
  }

  @Test
  void trialsThatFail_doubleTheTimeUpToTheLongest() {
    Breaker breaker = breaker();
    fail(breaker, 3);
    for (long seconds : new long[] {8, 16, 32, 60, 60, 60}) {
      Duration most = Duration.ofSeconds(seconds);
      assertThat(breaker.view(now).left())
          .isBetween(most.multipliedBy(3).dividedBy(4).minusMillis(1), most);
      pass(most);
      assertThat(breaker.enter(now)).isEqualTo(Entry.TRIAL);
      fail(breaker, 1);
      assertThat(breaker.isOpenTo(now)).isFalse();
    }
  }

  @Test
  void workerThatWasWellForLong_beginsWithTheFirstTime() {
    Breaker breaker = breaker();
    fail(breaker, 3);
    for (int i = 0; i < 4; i++) {
      pass(LONGEST);
      breaker.enter(now);
      fail(breaker, 1);
    }
    pass(LONGEST);
    breaker.enter(now);
    breaker.succeeded(now);
    pass(Duration.ofSeconds(1));
    fail(breaker, 3);
    assertThat(breaker.view(now).left()).as("it was not").isGreaterThan(FIRST.multipliedBy(2));
    pass(LONGEST);
    breaker.enter(now);
    breaker.succeeded(now);
    pass(LONGEST.plusSeconds(1));

    fail(breaker, 3);

    assertThat(breaker.view(now).left()).isLessThanOrEqualTo(FIRST);
  }

  @Test
  void severalWorkers_areNotTriedAtTheSameMoment() {
    List<Worker> workers = pool(40);
    for (Worker worker : workers.subList(0, 20)) {
      fail(worker.breaker(), 3);
    }

    assertThat(workers.stream().map(worker -> worker.breaker().view(now).left()).distinct())
        .hasSizeGreaterThan(10);
  }

  @Test
  void workerThatAsksForAPause_hasIt() {
    Breaker breaker = breaker();
    breaker.coolDown(Duration.ofSeconds(7), now);
    assertThat(breaker.view(now).state()).isEqualTo("cooling");
    pass(Duration.ofSeconds(7).minusNanos(1));
    assertThat(breaker.enter(now)).isEqualTo(Entry.SHUT);
    pass(Duration.ofNanos(1));

    assertThat(breaker.enter(now)).as("no trial: it did not fail").isEqualTo(Entry.FREE);
    assertThat(breaker.isClosed()).isTrue();
    assertThat(breaker.ejections()).isZero();
  }

  @Test
  void pause_isNotLongerThanTheLongestEjection() {
    Breaker breaker = breaker();
    breaker.coolDown(Duration.ofDays(1), now);

    assertThat(breaker.view(now).left()).isEqualTo(LONGEST);
  }

  @Test
  void workerThatDoesNotAnswer_isTriedAsSoonAsItDoes() {
    Breaker breaker = breaker();
    breaker.isMissing("connection refused", now);
    for (int i = 0; i < 100; i++) {
      pass(Duration.ofSeconds(3));
      breaker.isMissing("connection refused", now);
      assertThat(breaker.isOpenTo(now)).isFalse();
    }
    assertThat(breaker.ejections()).isOne();

    breaker.isThere(now);

    assertThat(breaker.enter(now)).isEqualTo(Entry.TRIAL);
  }

  @Test
  void workerThatNobodyWatchesAnyMore_isTriedAfterAWhile() {
    Breaker breaker = breaker();
    breaker.isMissing("connection refused", now);
    pass(Breaker.MISSED_FOR);

    assertThat(breaker.enter(now)).isEqualTo(Entry.TRIAL);
  }

  @Test
  void workerThatFailsButAnswersItsWatch_staysOut() {
    Breaker breaker = breaker();
    fail(breaker, 3);

    breaker.isThere(now);

    assertThat(breaker.isOpenTo(now)).isFalse();
  }

  @Test
  void lastWorker_isKept() {
    Breaker alone = pool(1).getFirst().breaker();

    fail(alone, 100);
    alone.isMissing("connection refused", now);
    alone.coolDown(Duration.ofSeconds(1), now);

    assertThat(alone.isClosed()).isTrue();
    assertThat(alone.ejections()).isZero();
    assertThat(alone.withheld()).isPositive();
  }

  @ParameterizedTest
  @CsvSource({"2, 50, 1", "3, 50, 1", "4, 50, 2", "5, 100, 4", "10, 10, 1", "3, 1, 1", "4, 0, 0"})
  void atMostAShareOfThePool_isOut(int workers, int percent, int out) {
    Health rules = new Health(3, 50, 10, FIRST, LONGEST, percent);
    List<Worker> pool = new Workers(table(workers, rules)).ofPool("p");

    pool.forEach(worker -> fail(worker.breaker(), 5));

    assertThat(pool.stream().filter(worker -> !worker.breaker().isClosed())).hasSize(out);
  }

  @Test
  void workerThatIsDrained_isNoneOfThoseLeft() {
    List<Worker> pool = pool(2);
    pool.getLast().drain(true);

    fail(pool.getFirst().breaker(), 5);

    assertThat(pool.getFirst().breaker().isClosed()).isTrue();
  }

  @Test
  void anotherTable_keepsWhoIsOutAndHasItsOwnRules() {
    Workers before = new Workers(table(4, RULES));
    fail(before.ofPool("p").getFirst().breaker(), 3);
    Health strict = new Health(1, 50, 10, FIRST, LONGEST, 50);

    Workers after = new Workers(table(5, strict), before);
    fail(after.ofPool("p").get(1).breaker(), 1);
    assertThat(after.ofPool("p").get(1).breaker().isClosed()).as("not in force yet").isTrue();
    after.takeOver();
    fail(after.ofPool("p").get(2).breaker(), 1);
    fail(after.ofPool("p").get(3).breaker(), 1);

    assertThat(after.ofPool("p").stream().map(worker -> worker.breaker().isClosed()))
        .as("two of five")
        .containsExactly(false, true, false, true, true);
    assertThat(after.breakers("p").areClosed()).isFalse();
  }

  /** Whatever happens: within the bound, one trial at a time, and quickly known. */
  @Property(tries = 200)
  void boundsHold(
      @ForAll @IntRange(min = 1, max = 8) int workers,
      @ForAll @IntRange(max = 100) int percent,
      @ForAll @Size(max = 400) int[] steps) {
    Health rules = new Health(2, 50, 10, FIRST, LONGEST, percent);
    Workers all = new Workers(table(workers, rules));
    List<Worker> pool = all.ofPool("p");
    int most = percent == 0 ? 0 : Math.min(workers - 1, Math.max(1, workers * percent / 100));
    int[] trials = new int[workers];
    for (int step : steps) {
      int which = Math.floorMod(step, workers);
      Breaker breaker = pool.get(which).breaker();
      switch (Math.floorMod(step / 8, 8)) {
        case 0 -> {
          breaker.succeeded(now);
          trials[which] = 0;
        }
        case 1 -> {
          breaker.trialOver();
          trials[which] = 0;
        }
        case 2 -> pass(Duration.ofSeconds(Math.floorMod(step, 20)));
        case 3 -> breaker.coolDown(Duration.ofSeconds(Math.floorMod(step, 90)), now);
        case 4 -> {
          breaker.isMissing("gone", now);
          trials[which] = 0;
        }
        case 5 -> breaker.isThere(now);
        case 6 -> trials[which] += breaker.enter(now) == Entry.TRIAL ? 1 : 0;
        default -> {
          breaker.failed("it broke", now);
          trials[which] = 0;
        }
      }
      if (breaker.view(now).state().equals("ejected")) {
        trials[which] = 0;
      }
      long out = pool.stream().filter(worker -> !worker.breaker().isClosed()).count();
      assertThat(out).isLessThanOrEqualTo(most);
      assertThat(all.breakers("p").areClosed()).isEqualTo(out == 0);
      assertThat(trials[which]).isLessThanOrEqualTo(1);
    }
  }
}
