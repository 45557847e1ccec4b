package dev.millrace.router.choose;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.millrace.config.Role;
import dev.millrace.router.pools.Worker;
import java.util.ArrayList;
import java.util.List;
import java.util.PriorityQueue;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class BreakEvenTest {
  private static final BreakEven.Known NOTHING = new BreakEven.Known(0, 0);

  /** Of prefill and of decode engines, which are of one kind. */
  private static final double NANOS_PER_BYTE = 10_000;

  private static final double HAND_OVER_NANOS = 20e6;
  private static final double HAND_OVER_NANOS_PER_BYTE = 500;

  private final BreakEven breakEven = new BreakEven();
  private final List<Worker> prefill = Samples.workers(Role.PREFILL, 1);
  private final List<Worker> decode = Samples.workers(Role.DECODE, 1);

  private void learn() {
    for (int i = 1; i <= 20; i++) {
      long bytes = 500L * i;
      breakEven.prefilled(prefill.getFirst(), bytes, Math.round(NANOS_PER_BYTE * bytes));
      breakEven.handedOver(bytes, Math.round(HAND_OVER_NANOS + HAND_OVER_NANOS_PER_BYTE * bytes));
    }
  }

  private Weighed.Known weigh(long bytes, BreakEven.Known known) {
    return (Weighed.Known) breakEven.weigh(bytes, known, prefill, decode);
  }

  @Test
  void weigh_beforeAnythingWasMeasured_handsOver() {
    Weighed weighed = breakEven.weigh(1, NOTHING, prefill, decode);

    assertThat(weighed).isEqualTo(Weighed.UNKNOWN);
    assertThat(weighed.prefersAlone()).isFalse();
  }

  @Test
  void weigh_nobodyElseAtTheDecodeWorker_itIsQuickerAlone() {
    learn();

    Weighed.Known weighed = weigh(1000, NOTHING);

    assertThat(weighed.aloneNanos()).isCloseTo(10e6, within(1e3));
    assertThat(weighed.handedOverNanos()).isCloseTo(30.5e6, within(1e3));
    assertThat(weighed.prefersAlone()).isTrue();
    assertThat(weighed.words()).contains("10.0 ms (0 streams beside it)", "30.5 ms");
  }

  @Test
  void weigh_streamsWouldStandStill_longPromptsAreHandedOverAndShortOnesNot() {
    learn();
    for (int i = 0; i < 4; i++) {
      decode.getFirst().reserve(1);
    }

    assertThat(weigh(400, NOTHING).prefersAlone()).as("20 ms against 24.2 ms").isTrue();
    assertThat(weigh(600, NOTHING).prefersAlone()).as("30 ms against 26.3 ms").isFalse();
  }

  @Test
  void weigh_promptsAreAheadAtThePrefillWorker_theyAreWaitedFor() {
    learn();
    for (int i = 0; i < 4; i++) {
      decode.getFirst().reserve(1);
    }
    prefill.getFirst().reserve(3000);

    assertThat(weigh(600, NOTHING).prefersAlone()).isTrue();
  }

  @Test
  void weigh_theDecodeWorkerKnowsMostOfIt_itIsQuickerAlone() {
    learn();
    for (int i = 0; i < 4; i++) {
      decode.getFirst().reserve(1);
    }

    assertThat(weigh(9000, NOTHING).prefersAlone()).isFalse();
    assertThat(weigh(9000, new BreakEven.Known(0, 8900)).prefersAlone()).isTrue();
    assertThat(weigh(9000, new BreakEven.Known(8990, 8000)).prefersAlone()).isFalse();
  }

  @Test
  void weigh_theDecodeWorkerIsSlowerThanThought_itIsLearnt() {
    learn();
    for (int i = 1; i <= LinearFit.ENOUGH; i++) {
      breakEven.computedAlone(decode.getFirst(), 500L * i, Math.round(50e3 * 500 * i));
    }

    assertThat(weigh(1000, NOTHING).aloneNanos()).isCloseTo(50e6, within(1e3));
    assertThat(weigh(1000, NOTHING).prefersAlone()).isFalse();
  }

  @Test
  void weigh_oneOf64ThatAreNotWorthIt_isHandedOver() {
    learn();

    int handedOver = 0;
    for (int i = 0; i < 640; i++) {
      handedOver += weigh(100, NOTHING).prefersAlone() ? 0 : 1;
    }

    assertThat(handedOver).isEqualTo(10);
  }

  // ---- a simulation: a prefill and a decode worker, prompts of all sizes, a load that comes and
  // goes ----

  private interface Rule {
    boolean alone(long bytes);
  }

  /** How long clients have waited, in seconds. */
  private static final class Simulation {
    private final Random random = new Random(7);
    private final PriorityQueue<Event> events =
        new PriorityQueue<>((a, b) -> Double.compare(a.at(), b.at()));
    private final Worker p = Samples.workers(Role.PREFILL, 1).getFirst();
    private final Worker d = Samples.workers(Role.DECODE, 1).getFirst();
    private final BreakEven rule = new BreakEven();
    private double prefillFreeAt;
    private double waited;

    private record Event(double at, Runnable what) {}

    private void at(double when, Runnable what) {
      events.add(new Event(when, what));
    }

    double run(@Nullable Rule fixed) {
      double now = 0;
      for (int i = 0; i < 4000; i++) {
        // Quiet and busy minutes in turn.
        now += -Math.log(1 - random.nextDouble()) * (i / 500 % 2 == 0 ? 2000e6 : 30e6);
        double arrival = now;
        long bytes = Math.round(50 * Math.exp(random.nextDouble() * 5));
        double streams = 2e9;
        at(arrival, () -> arrives(arrival, bytes, streams, fixed));
      }
      while (!events.isEmpty()) {
        events.remove().what().run();
      }
      return waited / 1e9;
    }

    private void arrives(double now, long bytes, double stream, @Nullable Rule fixed) {
      boolean alone =
          fixed == null
              ? rule.weigh(bytes, NOTHING, List.of(p), List.of(d)).prefersAlone()
              : fixed.alone(bytes);
      long streams = d.load();
      d.reserve(bytes);
      double first;
      if (alone) {
        double computing = NANOS_PER_BYTE * bytes;
        first = now + computing;
        waited += computing * (1 + streams);
        rule.computedAlone(d, bytes, Math.round(computing));
      } else {
        p.reserve(bytes);
        long underWay = p.load();
        prefillFreeAt = Math.max(now, prefillFreeAt) + NANOS_PER_BYTE * bytes;
        double answered = prefillFreeAt;
        double handOver = HAND_OVER_NANOS + HAND_OVER_NANOS_PER_BYTE * bytes;
        first = answered + handOver;
        waited += first - now;
        at(
            answered,
            () -> {
              p.unreserve(bytes);
              rule.prefilled(p, underWay, Math.round(answered - now));
              rule.handedOver(bytes, Math.round(handOver));
            });
      }
      at(first + stream, () -> d.unreserve(bytes));
    }
  }

  @Test
  void simulation_clientsWaitLessThanWithEitherWayAlways() {
    List<Double> waited = new ArrayList<>();
    waited.add(new Simulation().run(bytes -> false));
    waited.add(new Simulation().run(bytes -> true));
    waited.add(new Simulation().run(bytes -> bytes < 500));
    waited.add(new Simulation().run(null));

    System.out.printf(
        "clients waited, 4000 prompts: always handed over %.1f s, never %.1f s, below 500 bytes never %.1f s, by break-even %.1f s%n",
        waited.toArray());
    assertThat(waited.getLast()).isLessThan(0.9 * waited.get(0)).isLessThan(0.9 * waited.get(1));
    assertThat(waited.getLast()).isLessThan(waited.get(2));
  }
}
