package dev.millrace.router.admit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Limits;
import dev.millrace.router.admit.Gate.Entry;
import dev.millrace.router.admit.Gate.Place;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

final class GateTest {
  private final List<String> called = new ArrayList<>();
  private final List<Place> places = new ArrayList<>();

  private static Gate gate(int concurrent, int waiting) {
    return new Gate(new Limits(concurrent, waiting, Duration.ofSeconds(1)));
  }

  private Place admitted(Gate gate) {
    return gate.enter(0, place -> {}) instanceof Entry.Admitted(Place place)
        ? place
        : fail("it has a free place");
  }

  private static Place fail(String why) {
    throw new AssertionError(why);
  }

  private Gate.Waiter queued(Gate gate, int priority, String name) {
    Entry entry =
        gate.enter(
            priority,
            place -> {
              called.add(name);
              places.add(place);
            });
    assertThat(entry).isInstanceOf(Entry.Queued.class);
    return ((Entry.Queued) entry).waiter();
  }

  @Test
  void placesAreTakenInTurn_byPriorityFirst() {
    Gate gate = gate(1, 9);
    Place first = admitted(gate);
    queued(gate, 0, "a");
    queued(gate, 0, "b");
    queued(gate, 5, "urgent");
    queued(gate, -1, "patient");

    first.release();
    while (called.size() < 4) {
      places.getLast().release();
    }

    assertThat(called).containsExactly("urgent", "a", "b", "patient");
    assertThat(gate.inside()).isEqualTo(1);
    places.getLast().release();
    assertThat(gate.inside()).isZero();
  }

  @Test
  void placeThatIsGivenBackTwice_isFreeOnce() {
    Gate gate = gate(2, 0);
    Place one = admitted(gate);
    admitted(gate);

    one.release();
    one.release();

    assertThat(gate.inside()).isEqualTo(1);
  }

  @Test
  void queueThatIsFull_letsNobodyWait() {
    Gate gate = gate(1, 1);
    admitted(gate);
    queued(gate, 0, "a");

    assertThat(gate.enter(9, place -> {})).isInstanceOf(Entry.Full.class);
    assertThat(gate.refused()).isEqualTo(1);
    assertThat(gate.waiting()).isEqualTo(1);
  }

  @Test
  void whoeverLeft_isNotCalled() {
    Gate gate = gate(1, 2);
    Place first = admitted(gate);
    Gate.Waiter left = queued(gate, 0, "left");
    queued(gate, 0, "stayed");

    assertThat(left.leave()).isTrue();
    first.release();

    assertThat(called).containsExactly("stayed");
    assertThat(left.leave()).isFalse();
    assertThat(gate.refused()).isZero();
  }

  @Test
  void whoeverGaveUp_wasRefused() {
    Gate gate = gate(1, 1);
    admitted(gate);

    assertThat(queued(gate, 0, "a").giveUp()).isTrue();

    assertThat(gate.refused()).isEqualTo(1);
    assertThat(gate.waiting()).isZero();
  }

  /** However threads interleave: never too many inside, and every place comes back. */
  @Test
  void manyThreads_neverTooManyAndNoneIsLost() throws Exception {
    Gate gate = gate(3, 50);
    AtomicInteger inside = new AtomicInteger();
    AtomicInteger most = new AtomicInteger();
    int threads = 8;
    try (ExecutorService pool = Executors.newFixedThreadPool(threads)) {
      List<Future<Integer>> all = new ArrayList<>();
      for (int i = 0; i < threads; i++) {
        all.add(pool.submit(() -> comeAndGo(gate, inside, most)));
      }
      int served = 0;
      for (Future<Integer> each : all) {
        served += each.get(30, TimeUnit.SECONDS);
      }
      assertThat(served).isPositive();
    }
    assertThat(most.get()).isBetween(1, 3);
    assertThat(gate.inside()).isZero();
    assertThat(gate.waiting()).isZero();
  }

  private static int comeAndGo(Gate gate, AtomicInteger inside, AtomicInteger most)
      throws InterruptedException {
    int served = 0;
    for (int i = 0; i < 2000; i++) {
      SynchronousQueue<Place> handed = new SynchronousQueue<>();
      @Nullable Place place =
          switch (gate.enter(
              i % 3,
              free -> {
                try {
                  if (!handed.offer(free, 10, TimeUnit.SECONDS)) {
                    free.release();
                  }
                } catch (InterruptedException e) {
                  throw new AssertionError(e);
                }
              })) {
            case Entry.Admitted(Place now) -> now;
            case Entry.Queued(Gate.Waiter waiter) ->
                ThreadLocalRandom.current().nextInt(4) == 0 && waiter.leave()
                    ? null
                    : handed.poll(10, TimeUnit.SECONDS);
            case Entry.Full() -> null;
          };
      if (place != null) {
        most.accumulateAndGet(inside.incrementAndGet(), Math::max);
        served++;
        Thread.onSpinWait();
        inside.decrementAndGet();
        place.release();
      }
    }
    return served;
  }

  private static Limits perMinute(int concurrent, int requests, int tokens) {
    return new Limits(
        concurrent, 0, Duration.ofSeconds(1), OptionalInt.of(requests), OptionalInt.of(tokens));
  }

  @Test
  void otherLimits_keepWhatWasTakenOfThoseThatStay() {
    long now = -1_000_000_000L;
    Gate gate = new Gate(perMinute(1, 6, 100));
    assertThat(gate.takeRequest(now)).isEmpty();
    assertThat(gate.takeTokens(70, now)).isEmpty();

    gate.setLimits(perMinute(5, 6, 100));
    assertThat(gate.takeRequest(now)).as("one in ten seconds").isPresent();
    assertThat(gate.takeTokens(70, now)).isPresent();
    assertThat(gate.refused()).isEqualTo(2);

    gate.setLimits(perMinute(5, 12, 100));
    assertThat(gate.takeRequest(now)).as("another rate begins full").isEmpty();
    assertThat(gate.takeTokens(70, now)).as("and the other one stays").isPresent();
    gate.giveBackTokens(40, now);
    assertThat(gate.takeTokens(70, now)).isEmpty();
  }
}
