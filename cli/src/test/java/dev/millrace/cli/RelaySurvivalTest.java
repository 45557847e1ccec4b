package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Parallelism;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.TreeSet;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * An agent between engines, all of them processes of their own, when one of them dies: clients hear
 * of it in an answer or not at all, and when it is back answers are right and nothing is held.
 */
class RelaySurvivalTest {
  private static final Duration LONG = Duration.ofSeconds(60);

  /** For twenty prompts at a time. */
  private static final int PREFILL_BLOCKS = 129;

  private static final int AT_ONCE = 20;

  /** Of so many clients one leaves before it has its answer. */
  private static final int ONE_LEAVES_OF = 5;

  private static final int LONGEST_PATIENCE_MILLIS = 200;

  private static final int SOAK = 4000;

  /**
   * After so many of all exchanges the agent has touched all of its young generation and compiled
   * what is hot: about 2000 of them.
   */
  private static final double WARM = 0.5;

  private static final double FLAT = 0.05;

  private static RelayScene scene() throws IOException {
    ModelShape model = ModelShape.dense(3, 4, 32, ElementType.BFLOAT16);
    return new RelayScene(
        new GeometrySpec(model, Parallelism.tensor(1), 64, Layout.HND, PREFILL_BLOCKS),
        new GeometrySpec(model, Parallelism.tensor(2), 32, Layout.NHD, 2 * PREFILL_BLOCKS));
  }

  private static String prompt(Random random) {
    return RelayScene.prompt(random, 200);
  }

  @ParameterizedTest
  @EnumSource(RelayScene.Who.class)
  void oneIsKilled_clientsHearOfItAndAfterwardsAnswersAreRight(RelayScene.Who victim)
      throws Exception {
    Random random = new Random(11);
    try (RelayScene scene = scene()) {
      scene.askAndCompare(prompt(random));
      long pid = scene.pid(victim);

      RelayScene.kill(pid);

      List<Integer> statuses = new ArrayList<>();
      Instant killed = Instant.now();
      int right = 0;
      while (right < 5) {
        assertThat(Instant.now())
            .as("%s; %s", statuses, scene.lastWords())
            .isBefore(killed.plus(LONG));
        String prompt = prompt(random);
        HttpJson.Answer answer = scene.ask(prompt);
        if (answer.status() == 200) {
          assertThat(DemoRequest.text(answer.body())).isEqualTo(scene.expected(prompt));
          right += scene.pid(victim) == pid ? 0 : 1;
        } else {
          assertThat(answer.status()).as(answer.body().encode()).isBetween(500, 504);
          assertThat(answer.body().getJsonObject("error").getString("code")).isNotBlank();
          statuses.add(answer.status());
          Thread.sleep(50);
        }
      }
      System.out.printf(
          "%s killed: %d answers of status %s, then right ones, %d ms after it was killed%n",
          victim,
          statuses.size(),
          new TreeSet<>(statuses),
          Duration.between(killed, Instant.now()).toMillis());
      Duration _ = scene.awaitNothingHeld();
    }
  }

  /** What came of exchanges. */
  private static final class Tally {
    final AtomicInteger begun = new AtomicInteger();
    final AtomicInteger right = new AtomicInteger();
    final AtomicInteger left = new AtomicInteger();
    final AtomicLong residentKibWhenWarm = new AtomicLong();
  }

  private static void one(RelayScene scene, long seed, Tally tally) throws Exception {
    Random random = new Random(seed);
    String prompt = prompt(random);
    if (random.nextInt(ONE_LEAVES_OF) == 0) {
      scene.askAndLeave(prompt, Duration.ofMillis(random.nextInt(LONGEST_PATIENCE_MILLIS)));
      tally.left.incrementAndGet();
    } else {
      scene.askAndCompare(prompt);
      tally.right.incrementAndGet();
    }
  }

  /** So many exchanges, {@link #AT_ONCE} at a time; then nothing may be held. */
  private static Tally exchanges(RelayScene scene, int count) throws Exception {
    Tally tally = new Tally();
    try (ExecutorService clients = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<?>> running = new ArrayList<>();
      for (int i = 0; i < AT_ONCE; i++) {
        running.add(
            clients.submit(() -> {
              for (int n = tally.begun.incrementAndGet();
                  n <= count;
                  n = tally.begun.incrementAndGet()) {
                one(scene, n, tally);
                if (n == (int) (count * WARM)) {
                  tally.residentKibWhenWarm.set(scene.residentKib(RelayScene.Who.AGENT));
                }
              }
              return "over";
            }));
      }
      for (Future<?> client : running) {
        client.get();
      }
    }
    assertThat(tally.right.get() + tally.left.get()).isEqualTo(count);
    assertThat(tally.left.get()).isPositive();
    return tally;
  }

  @Test
  void someClientsLeave_theOthersAreAnsweredRightAndNothingIsHeld() throws Exception {
    try (RelayScene scene = scene()) {
      Tally _ = exchanges(scene, 100);

      Duration _ = scene.awaitNothingHeld();
    }
  }

  @Test
  @Tag("soak")
  void thousandsOfRelayedExchanges_areRightAndLeaveNothing() throws Exception {
    try (RelayScene scene = scene()) {
      long pid = scene.pid(RelayScene.Who.AGENT);
      Instant start = Instant.now();

      Tally tally = exchanges(scene, SOAK);

      Duration took = Duration.between(start, Instant.now());
      Duration nothing = scene.awaitNothingHeld();
      long after = scene.residentKib(RelayScene.Who.AGENT);
      System.out.printf(
          "%d right, %d left, in %d s; nothing held %d ms later; the agent has %d KiB after half of them, %d KiB after all%n",
          tally.right.get(),
          tally.left.get(),
          took.toSeconds(),
          nothing.toMillis(),
          tally.residentKibWhenWarm.get(),
          after);
      assertThat(scene.pid(RelayScene.Who.AGENT)).as("the agent lives").isEqualTo(pid);
      assertThat((double) after).isLessThan(tally.residentKibWhenWarm.get() * (1 + FLAT));
    }
  }
}
