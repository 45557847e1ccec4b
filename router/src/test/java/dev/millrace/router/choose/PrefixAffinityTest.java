package dev.millrace.router.choose;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Role;
import dev.millrace.router.http.Api;
import dev.millrace.router.pools.Worker;
import io.vertx.core.MultiMap;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Prompts follow what they share, as far as there is room. */
final class PrefixAffinityTest {
  private static final int PERCENT = 125;

  private static PrefixAffinity policy() {
    return new PrefixAffinity(PERCENT);
  }

  /** So many letters, of which the first ones are the same for the same seed. */
  private static String text(long seed, int letters) {
    Random random = new Random(seed);
    StringBuilder text = new StringBuilder(letters);
    for (int i = 0; i < letters; i++) {
      text.append((char) ('a' + random.nextInt(26)));
    }
    return text.toString();
  }

  private static Prefixes chat(String body) {
    return new Traits(
            Samples.request(Api.CHAT_COMPLETIONS, body), MultiMap.caseInsensitiveMultiMap())
        .prefixes();
  }

  /** How many beginnings two prompts have in common. */
  private static int common(Prefixes a, Prefixes b) {
    int common = 0;
    while (common < Math.min(a.count(), b.count()) && a.hash(common) == b.hash(common)) {
      common++;
    }
    return common;
  }

  @Property(tries = 200)
  void prompts_haveTheBeginningsInCommonThatTheirBytesHave(
      @ForAll @IntRange(max = 3000) int shared, @ForAll @IntRange(min = 1, max = 2000) int own) {
    String beginning = text(1, shared);
    Prefixes a = Samples.prompt(beginning + "A" + text(2, own)).prefixes();
    Prefixes b = Samples.prompt(beginning + "B" + text(2, own)).prefixes();

    // The opening quote is the first byte.
    assertThat(common(a, b)).isEqualTo((1 + shared) / Prefixes.PIECE_BYTES);
  }

  @Property(tries = 100)
  void nextTurn_hasAllBeginningsOfTheOneBeforeIt(
      @ForAll @IntRange(min = 1, max = 3000) int first,
      @ForAll @IntRange(min = 1, max = 3000) int answer) {
    String turn = "{\"role\":\"user\",\"content\":\"%s\"}".formatted(text(3, first));
    String next = turn + ",{\"role\":\"assistant\",\"content\":\"%s\"}".formatted(text(4, answer));
    Prefixes before = chat("{\"model\":\"m\",\"messages\":[%s]}".formatted(turn));
    Prefixes after = chat("{\"messages\":[%s],\"model\":\"m\",\"n\":1}".formatted(next));

    // The closing bracket may be in the last piece.
    assertThat(common(before, after)).isBetween(before.count() - 1, before.count());
  }

  @Property(tries = 200)
  void pick_isTheMatchIfItHasRoom_elseTheLeastActive(
      @ForAll @Size(min = 1, max = 9) List<@IntRange(max = 5) Integer> reserved,
      @ForAll @IntRange(max = 8) int which) {
    List<Worker> workers = Samples.busy(reserved);
    Worker holder = workers.get(which % workers.size());
    PrefixAffinity policy = policy();
    Traits prompt = Samples.prompt(text(5, 2000));
    policy.sent(holder, prompt);

    Worker picked = policy.pick(workers, prompt);

    long all = workers.stream().mapToLong(Worker::load).sum();
    boolean room = holder.load() <= PERCENT * (all + 1) / (100L * workers.size()) + 1;
    long least = workers.stream().mapToLong(Worker::load).min().orElseThrow();
    assertThat(picked.load()).isEqualTo(room ? holder.load() : least);
    assertThat(picked.equals(holder) || !room).isTrue();
  }

  @Property(tries = 30)
  void index_isBounded(@ForAll @IntRange(min = 1, max = 300) int most, @ForAll long seed) {
    PrefixAffinity policy = new PrefixAffinity(PERCENT, most);
    Worker worker = Samples.workers(Role.PREFILL, 1).getFirst();

    for (int i = 0; i < 50; i++) {
      policy.sent(worker, Samples.prompt(text(seed + i, 20 * Prefixes.PIECE_BYTES)));
    }

    assertThat(policy.known()).isBetween(1L, (long) most);
  }

  /** A prompt of any length is found by its first mebibyte, and does not fill the index. */
  @Test
  void prefixes_areBounded() {
    Prefixes prefixes = Samples.prompt("x".repeat(3 << 20)).prefixes();

    assertThat(prefixes.count()).isEqualTo(Prefixes.MOST_PIECES);
    assertThat(prefixes.bytes(prefixes.count() - 1)).isEqualTo(1 << 20);
  }

  @Test
  void longestMatch_wins() {
    List<Worker> workers = Samples.workers(Role.PREFILL, 3);
    PrefixAffinity policy = policy();
    String shared = text(6, 5 * Prefixes.PIECE_BYTES);
    policy.sent(workers.get(2), Samples.prompt(shared + text(7, 3000)));
    policy.sent(workers.get(1), Samples.prompt(shared + text(8, 3000)));

    assertThat(policy.pick(workers, Samples.prompt(shared + text(7, 3000) + "more")))
        .as("the same branch")
        .isEqualTo(workers.get(2));
    assertThat(policy.pick(workers, Samples.prompt(shared + text(9, 3000))))
        .as("the shared beginning was sent there last")
        .isEqualTo(workers.get(1));
  }

  @Test
  void workerThatIsOut_givesWayToAShorterMatch() {
    List<Worker> workers = Samples.workers(Role.PREFILL, 3);
    PrefixAffinity policy = policy();
    String shared = text(10, 5 * Prefixes.PIECE_BYTES);
    policy.sent(workers.get(2), Samples.prompt(shared + text(11, 3000)));
    policy.sent(workers.get(1), Samples.prompt(shared));

    assertThat(policy.pick(workers.subList(0, 2), Samples.prompt(shared + text(11, 3000) + "more")))
        .isEqualTo(workers.get(1));
  }

  /** A worker with a long backlog is waited for if that saves as much. */
  @Test
  void backlogOnAPrefillWorker_isWeighedAgainstTheBytesThatMatch() {
    List<Worker> workers = Samples.workers(Role.PREFILL, 4);
    Worker holder = workers.get(3);
    PrefixAffinity policy = policy();
    policy.sent(holder, Samples.prompt(text(12, 8000)));
    holder.reserve(7000);

    assertThat(policy.pick(workers, Samples.prompt(text(12, 8000) + "more"))).isEqualTo(holder);
    assertThat(policy.pick(workers, Samples.prompt(text(12, 600) + text(13, 3000))))
        .isNotEqualTo(holder);
  }

  @Test
  void pick_alone_isNotRemembered() {
    PrefixAffinity policy = policy();

    policy.pick(Samples.workers(Role.PREFILL, 3), Samples.prompt(text(14, 2000)));

    assertThat(policy.known()).isZero();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          {"model":"m","messages":[%s]}               | {"messages":[%s],"model":"m","seed":7}      | true
          {"model":"m","messages":[%s]}               | {"model":"n","messages":[%s]}               | false
          {"model":"m","messages":[%s],"tools":["a"]} | {"model":"m","tools":["a"],"messages":[%s]} | true
          {"model":"m","messages":[%s],"tools":["a"]} | {"model":"m","tools":["b"],"messages":[%s]} | false
          """)
  void prompts_areAlikeIfEnginesRenderThemAlike(String one, String other, boolean alike) {
    String messages = "\"%s\"".formatted(text(15, 2000));

    int common = common(chat(one.formatted(messages)), chat(other.formatted(messages)));

    assertThat(common > 0).isEqualTo(alike);
  }

  @Test
  void severalThreads_pickAndLearn() throws Exception {
    List<Worker> workers = Samples.workers(Role.PREFILL, 4);
    PrefixAffinity policy = new PrefixAffinity(PERCENT, 500);
    try (ExecutorService loops = Executors.newFixedThreadPool(4)) {
      List<Future<Boolean>> done =
          IntStream.range(0, 4)
              .mapToObj(loop ->
                  loops.submit(() -> {
                    Random random = new Random(loop);
                    for (int i = 0; i < 2000; i++) {
                      Traits prompt = Samples.prompt(text(random.nextInt(50), 3000));
                      Worker picked = policy.pick(workers, prompt);
                      picked.reserve(3000);
                      policy.sent(picked, prompt);
                      picked.unreserve(3000);
                    }
                    return true;
                  }))
              .toList();
      for (Future<Boolean> loop : done) {
        assertThat(loop.get()).isTrue();
      }
    }

    assertThat(policy.known()).isBetween(1L, 500L);
    assertThat(workers).allMatch(worker -> worker.load() == 0);
  }
}
