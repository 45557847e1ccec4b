package dev.millrace.router.choose;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Policy;
import dev.millrace.config.Role;
import dev.millrace.config.SessionKey;
import dev.millrace.config.Stage;
import dev.millrace.router.pools.Worker;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.SequencedMap;
import java.util.function.IntFunction;
import org.junit.jupiter.api.Test;

/**
 * What affinity is worth: the same requests over workers that forget what was used longest ago, by
 * policy. Exchanges end in the order in which they began, so that a run is the same each time.
 */
final class AffinitySimulationTest {
  private static final int WORKERS = 8;
  private static final int IN_FLIGHT = 48;
  private static final int EXCHANGES = 6000;

  /** The beginnings that a worker's cache has room for, and those that were found in it. */
  private static final class Cache {
    private final int pieces;
    private final SequencedMap<Long, Boolean> held = new LinkedHashMap<>(16, 0.75f, true);

    Cache(int pieces) {
      this.pieces = pieces;
    }

    int take(Prefixes prefixes) {
      int hits = 0;
      while (hits < prefixes.count() && held.containsKey(prefixes.hash(hits))) {
        hits++;
      }
      // The ends of prompts are given up before their beginnings, as by vLLM.
      for (int i = prefixes.count() - 1; i >= 0; i--) {
        held.put(prefixes.hash(i), true);
      }
      while (held.size() > pieces) {
        held.pollFirstEntry();
      }
      return hits;
    }
  }

  /**
   * How a run went.
   *
   * @param hits share of all pieces that were in the cache of the worker that got them
   * @param busiest the most that a worker had under way, as a multiple of the average then
   */
  private record Effect(double hits, double busiest) {
    @Override
    public String toString() {
      return "%.0f %% hits, busiest worker at most %.2f of the average"
          .formatted(100 * hits, busiest);
    }
  }

  private record Underway(Worker worker, long bytes) {}

  private static Effect run(Stage stage, int cachePieces, IntFunction<Traits> requests) {
    List<Worker> workers = Samples.workers(Role.PREFILL, WORKERS);
    Map<Worker, Cache> caches = new HashMap<>();
    WorkerPolicy policy = WorkerPolicy.of(stage, new Random(1));
    Deque<Underway> underway = new ArrayDeque<>();
    long pieces = 0;
    long hits = 0;
    double busiest = 0;
    for (int i = 0; i < EXCHANGES; i++) {
      Traits request = requests.apply(i);
      Worker worker = policy.pick(workers, request);
      policy.sent(worker, request);
      worker.reserve(request.promptBytes());
      underway.add(new Underway(worker, request.promptBytes()));
      hits +=
          caches.computeIfAbsent(worker, first -> new Cache(cachePieces)).take(request.prefixes());
      pieces += request.prefixes().count();
      if (underway.size() == IN_FLIGHT) {
        double all = workers.stream().mapToLong(Worker::load).sum();
        busiest = Math.max(busiest, worker.load() * WORKERS / all);
        Underway ended = underway.remove();
        ended.worker.unreserve(ended.bytes);
      }
    }
    return new Effect((double) hits / pieces, busiest);
  }

  private static String letters(long seed, int count) {
    Random random = new Random(seed);
    StringBuilder text = new StringBuilder(count);
    for (int i = 0; i < count; i++) {
      text.append((char) ('a' + random.nextInt(26)));
    }
    return text.toString();
  }

  /** The k-th of many is asked for 1/k as often as the first. */
  private static int zipf(Random random, int many) {
    double sum = 0;
    for (int k = 1; k <= many; k++) {
      sum += 1.0 / k;
    }
    double at = random.nextDouble() * sum;
    int k = 0;
    while (at > 0 && k < many) {
      k++;
      at -= 1.0 / k;
    }
    return k - 1;
  }

  /** Each of 100 applications has a beginning of 8 KiB; every prompt has 1 KiB of its own. */
  private static IntFunction<Traits> applications() {
    Random random = new Random(2);
    String[] beginnings = new String[100];
    for (int i = 0; i < beginnings.length; i++) {
      beginnings[i] = letters(i, 8 << 10);
    }
    return i ->
        Samples.prompt(beginnings[zipf(random, beginnings.length)] + letters(1000 + i, 1 << 10));
  }

  /** A worker has room for a fifth of all beginnings, all of them together for more than all. */
  @Test
  void prefixAffinity_onSharedBeginningsWithSkew() {
    int pieces = 400;
    Effect inTurn = run(Stage.roundRobin("p"), pieces, applications());
    Effect leastActive = run(Stage.leastActive("p"), pieces, applications());
    Effect affinity = run(Stage.of("p", Policy.PREFIX_AFFINITY), pieces, applications());
    System.out.printf(
        "shared beginnings: round-robin %s; least-active %s; prefix-affinity %s%n",
        inTurn, leastActive, affinity);

    assertThat(affinity.hits).isGreaterThan(1.4 * inTurn.hits).isGreaterThan(0.7);
    assertThat(affinity.hits).isGreaterThan(1.4 * leastActive.hits);
    assertThat(affinity.busiest).isLessThan(2);
  }

  /**
   * 300 sessions whose prompts grow by a piece each turn, a few of them asking more than others.
   */
  private static IntFunction<Traits> sessions() {
    Random random = new Random(3);
    int[] turns = new int[300];
    return i -> {
      int session = zipf(random, turns.length);
      int turn = 2 + Math.min(turns[session]++, 30);
      return Samples.session("session-" + session, letters(session, turn * Prefixes.PIECE_BYTES));
    };
  }

  @Test
  void sessionAffinity_onChatsThatGrow() {
    int pieces = 400;
    Stage bySession = Stage.sessionAffinity("p", new SessionKey.Header(Samples.SESSION_HEADER));
    Effect inTurn = run(Stage.roundRobin("p"), pieces, sessions());
    Effect session = run(bySession, pieces, sessions());
    Effect prefix = run(Stage.of("p", Policy.PREFIX_AFFINITY), pieces, sessions());
    System.out.printf(
        "chats that grow: round-robin %s; session-affinity %s; prefix-affinity %s%n",
        inTurn, session, prefix);

    assertThat(session.hits).isGreaterThan(1.4 * inTurn.hits);
    assertThat(prefix.hits).isGreaterThan(1.4 * inTurn.hits);
    assertThat(session.busiest).isLessThan(3);
  }
}
