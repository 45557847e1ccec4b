package dev.millrace.router.choose;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Policy;
import dev.millrace.config.Role;
import dev.millrace.config.SessionKey;
import dev.millrace.config.Stage;
import dev.millrace.router.pools.Worker;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

/** What each policy promises, and how evenly it spreads what is not over yet. */
final class WorkerPolicyTest {
  private static final Traits ANY = Samples.anonymous();

  private static List<Worker> workers(int count) {
    return Samples.workers(Role.DECODE, count);
  }

  private static List<Worker> busy(List<Integer> reserved) {
    return Samples.busy(reserved);
  }

  private static WorkerPolicy policy(Policy policy, long seed) {
    Stage stage =
        policy == Policy.SESSION_AFFINITY
            ? Stage.sessionAffinity("p", new SessionKey.Header("x-session-id"))
            : Stage.of("p", policy);
    return WorkerPolicy.of(stage, new Random(seed));
  }

  @Property(tries = 200)
  void pick_isOneOfThem(
      @ForAll Policy policy,
      @ForAll @Size(min = 1, max = 9) List<@IntRange(max = 5) Integer> reserved,
      @ForAll long seed) {
    List<Worker> workers = busy(reserved);

    assertThat(workers).contains(policy(policy, seed).pick(workers, ANY));
  }

  @Property(tries = 200)
  void leastActive_isNoBusierThanAnybody(
      @ForAll @Size(min = 1, max = 9) List<@IntRange(max = 5) Integer> reserved) {
    List<Worker> workers = busy(reserved);

    int picked = policy(Policy.LEAST_ACTIVE, 0).pick(workers, ANY).reserved();

    assertThat(workers).allMatch(worker -> worker.reserved() >= picked);
  }

  @Property(tries = 200)
  void powerOfTwo_isNeverTheOneThatIsBusierThanAllOthers(
      @ForAll @Size(min = 2, max = 9) List<@IntRange(max = 5) Integer> reserved,
      @ForAll long seed) {
    List<Worker> workers = busy(reserved);

    Worker picked = policy(Policy.POWER_OF_TWO, seed).pick(workers, ANY);

    assertThat(workers)
        .anyMatch(worker -> !worker.equals(picked) && worker.reserved() >= picked.reserved());
  }

  @Property(tries = 50)
  void roundRobin_takesEachOnceInEachRound(@ForAll @IntRange(min = 1, max = 20) int count) {
    List<Worker> workers = workers(count);
    WorkerPolicy policy = policy(Policy.ROUND_ROBIN, 0);

    assertThat(IntStream.range(0, count).mapToObj(i -> policy.pick(workers, ANY)))
        .containsExactlyInAnyOrderElementsOf(workers);
  }

  /** A long prompt keeps a prefill worker as busy as many short ones. */
  @Test
  void leastActive_countsBytesOnPrefillWorkersAndExchangesElsewhere() {
    for (Role role : List.of(Role.PREFILL, Role.DECODE)) {
      List<Worker> workers = Samples.workers(role, 2);
      workers.getFirst().reserve(100_000);
      workers.getLast().reserve(1000);
      workers.getLast().reserve(1000);

      Worker picked = policy(Policy.LEAST_ACTIVE, 0).pick(workers, ANY);

      assertThat(picked)
          .as(role.name())
          .isEqualTo(role == Role.PREFILL ? workers.getLast() : workers.getFirst());
    }
  }

  @Test
  void leastActive_ofDecodeWorkersWithAsManyStreams_takesTheOneWithTheShorterPrompts() {
    List<Worker> workers = Samples.workers(Role.DECODE, 3);
    long tokens = 3000;
    for (Worker worker : workers) {
      worker.reserve(1);
      worker.kvRoom().take(tokens).arrived();
      tokens -= 1000;
    }

    assertThat(policy(Policy.LEAST_ACTIVE, 0).pick(workers, ANY)).isEqualTo(workers.getLast());
  }

  @Test
  void places_thatAreGivenBackLeaveNoLoad() {
    for (Role role : Role.values()) {
      Worker worker = Samples.workers(role, 1).getFirst();
      worker.reserve(700);
      worker.reserve(30);
      worker.unreserve(700);
      worker.unreserve(30);

      assertThat(worker.load()).as(role.name()).isZero();
    }
  }

  /** Exchanges that do not end, over workers that start idle: how many the busiest one has. */
  private static int busiest(Policy policy, int exchanges, int count) {
    List<Worker> workers = workers(count);
    WorkerPolicy chosen = policy(policy, 42);
    for (int i = 0; i < exchanges; i++) {
      chosen.pick(workers, ANY).reserve(1);
    }
    return workers.stream().mapToInt(Worker::reserved).max().orElseThrow();
  }

  /** 1000 on 100 workers are 10 each; chance alone gives somebody twice as many. */
  @Test
  void effect_ofEachPolicyOnTheBusiestWorker() {
    assertThat(busiest(Policy.ROUND_ROBIN, 1000, 100)).isEqualTo(10);
    assertThat(busiest(Policy.LEAST_ACTIVE, 1000, 100)).isEqualTo(10);
    assertThat(busiest(Policy.POWER_OF_TWO, 1000, 100)).isBetween(11, 13);
    assertThat(busiest(Policy.RANDOM, 1000, 100)).isBetween(16, 26);
  }

  /** One worker is slow: its exchanges do not end, those of the others do at once. */
  private static int onTheSlowOne(Policy policy) {
    List<Worker> workers = workers(4);
    WorkerPolicy chosen = policy(policy, 7);
    for (int i = 0; i < 400; i++) {
      Worker picked = chosen.pick(workers, ANY);
      if (picked.equals(workers.getFirst())) {
        picked.reserve(1);
      }
    }
    return workers.getFirst().reserved();
  }

  @Test
  void effect_ofAWorkerThatIsSlow() {
    assertThat(onTheSlowOne(Policy.ROUND_ROBIN)).isEqualTo(100);
    assertThat(onTheSlowOne(Policy.RANDOM)).isBetween(70, 130);
    assertThat(onTheSlowOne(Policy.LEAST_ACTIVE)).isEqualTo(1);
    assertThat(onTheSlowOne(Policy.POWER_OF_TWO)).isEqualTo(1);
  }
}
