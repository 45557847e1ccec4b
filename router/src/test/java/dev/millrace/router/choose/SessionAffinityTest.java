package dev.millrace.router.choose;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Role;
import dev.millrace.config.SessionKey;
import dev.millrace.router.http.Api;
import dev.millrace.router.pools.Worker;
import io.vertx.core.MultiMap;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.OptionalLong;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.AlphaChars;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import net.jqwik.api.constraints.StringLength;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Sessions stay where they are, and nobody gets too many of them. */
final class SessionAffinityTest {
  private static final SessionKey HEADER = new SessionKey.Header(Samples.SESSION_HEADER);
  private static final int PERCENT = 125;

  private static WorkerPolicy policy() {
    return new SessionAffinity(HEADER, PERCENT);
  }

  private static List<Worker> without(List<Worker> workers, Worker gone) {
    return workers.stream().filter(worker -> !worker.equals(gone)).toList();
  }

  @Property(tries = 200)
  void replicas_agreeWhateverTheOrderOfTheirTables(
      @ForAll @AlphaChars @StringLength(min = 1, max = 40) String key,
      @ForAll @IntRange(min = 1, max = 20) int count,
      @ForAll long seed) {
    List<Worker> workers = Samples.workers(Role.DECODE, count);
    List<Worker> others = new ArrayList<>(Samples.workers(Role.DECODE, count));
    Collections.shuffle(others, new Random(seed));

    Worker here = policy().pick(workers, Samples.session(key));
    Worker there = policy().pick(others, Samples.session(key));

    assertThat(here.url()).isEqualTo(there.url());
  }

  @Property(tries = 100)
  void workerThatGoes_movesItsOwnSessionsAlone(
      @ForAll @IntRange(min = 2, max = 12) int count, @ForAll @IntRange(max = 11) int which) {
    List<Worker> workers = Samples.workers(Role.DECODE, count);
    Worker gone = workers.get(which % count);
    WorkerPolicy policy = policy();

    for (int i = 0; i < 50; i++) {
      Traits session = Samples.session("session-" + i);
      Worker before = policy.pick(workers, session);
      Worker after = policy.pick(without(workers, gone), session);
      if (!before.equals(gone)) {
        assertThat(after).isEqualTo(before);
      }
      assertThat(policy.pick(workers, session)).as("when it is back").isEqualTo(before);
    }
  }

  /** Sessions of which one has half of all requests, none of which end. */
  @Property(tries = 100)
  void load_isBounded(
      @ForAll @IntRange(min = 1, max = 10) int count,
      @ForAll @IntRange(min = 1, max = 400) int exchanges,
      @ForAll long seed) {
    List<Worker> workers = Samples.workers(Role.DECODE, count);
    WorkerPolicy policy = policy();
    Random random = new Random(seed);

    for (int i = 0; i < exchanges; i++) {
      String key = random.nextBoolean() ? "greedy" : "s" + random.nextInt(20);
      policy.pick(workers, Samples.session(key)).reserve(1);
    }

    double average = (double) exchanges / count;
    assertThat(workers).allMatch(worker -> worker.load() <= PERCENT / 100.0 * average + 2);
  }

  @Property(tries = 200)
  void pick_isTheLeastActiveWithoutAKey(
      @ForAll @Size(min = 1, max = 9) List<@IntRange(max = 5) Integer> reserved) {
    List<Worker> workers = Samples.busy(reserved);

    Worker picked = policy().pick(workers, Samples.anonymous());

    assertThat(workers).allMatch(worker -> worker.load() >= picked.load());
  }

  @Test
  void overloadedWorker_givesWayToTheSameOtherOne() {
    List<Worker> workers = Samples.workers(Role.DECODE, 5);
    Traits session = Samples.session("alice");
    Worker first = policy().pick(workers, session);
    for (int i = 0; i < 10; i++) {
      first.reserve(1);
    }

    Worker next = policy().pick(workers, session);

    assertThat(next).isEqualTo(policy().pick(without(workers, first), session));
  }

  @Test
  void twoAtOnceOfOneSession_stayTogetherOnIdleWorkers() {
    List<Worker> workers = Samples.workers(Role.DECODE, 8);
    Traits session = Samples.session("alice");
    Worker first = policy().pick(workers, session);
    first.reserve(1);

    assertThat(policy().pick(workers, session)).isEqualTo(first);
  }

  /** Routers of two versions stand side by side while they are replaced. */
  @ParameterizedTest
  @CsvSource({"alice, 8", "bob, 6", "carol, 7", "zoë, 7"})
  void picks_areTheSameInEveryVersion(String key, int index) {
    List<Worker> workers = Samples.workers(Role.DECODE, 10);

    assertThat(policy().pick(workers, Samples.session(key))).isEqualTo(workers.get(index));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          {"model":"m","prompt":"a","user":"alice"}                      | user             | true
          {"user":"alice","model":"m","prompt":"say \\"user\\":\\"bob\\""}   | user             | true
          {"model":"m","prompt":"a","prompt_cache_key":"alice"}          | prompt_cache_key | true
          {"model":"m","prompt":"a","metadata":{"user":"alice"}}         | user             | false
          {"model":"m","prompt":"a","user":17}                           | user             | false
          {"model":"m","prompt":"a","user":""}                           | user             | false
          {"model":"m","prompt":"a","user":null}                         | user             | false
          """)
  void key_isATextAtTheTopOfTheBody(String body, String field, boolean found) {
    Traits traits =
        new Traits(Samples.request(Api.COMPLETIONS, body), MultiMap.caseInsensitiveMultiMap());

    assertThat(traits.session(new SessionKey.BodyField(field)))
        .isEqualTo(found ? Samples.session("alice").session(HEADER) : OptionalLong.empty());
  }
}
