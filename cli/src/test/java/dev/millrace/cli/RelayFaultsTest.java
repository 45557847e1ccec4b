package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Parallelism;
import dev.millrace.transfer.rpc.v1.DescribeReply;
import io.vertx.core.json.JsonObject;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * What a client sees, and what is left, when a process dies, hangs or is full while it reads a
 * prompt's blocks or serves them. Prompts are large enough for the moment to be met: whoever is to
 * fail is stopped first, then somebody else is asked whether it was the moment.
 */
class RelayFaultsTest {
  private static final Duration LONG = Duration.ofSeconds(60);

  /** How long an agent keeps a copy by default. */
  private static final Duration HOLD = Duration.ofSeconds(60);

  /** 48 MiB. */
  private static final int PROMPT_CHARACTERS = 1500;

  /** 96 MiB, of which the agent's memory for decode engines has 64. */
  private static final int TOO_MANY_CHARACTERS = 3000;

  private static final int TRIES = 40;

  /** What an agent is at. */
  private enum Moment {
    READS_FROM_P(RelayScene.Who.PREFILL) {
      @Override
      boolean is(DescribeReply agent, RelayScene scene) {
        return agent.getOpenReads() > 0;
      }

      @Override
      boolean wasIt(RelayScene.Who frozen, RelayScene scene) {
        return frozen == RelayScene.Who.PREFILL
            ? scene.describe().map(agent -> agent.getOpenReads() > 0).orElse(false)
            : scene.gauge(RelayScene.Who.PREFILL, "kv_cache_usage_perc").orElse(0.0) > 0;
      }
    },
    SERVES_D(RelayScene.Who.DECODE) {
      @Override
      boolean is(DescribeReply agent, RelayScene scene) {
        return agent.getOpenReads() == 0
            && agent.getOpenReaders() > 0
            && scene.gauge(RelayScene.Who.DECODE, "kv_cache_usage_perc").orElse(0.0) > 0;
      }

      @Override
      boolean wasIt(RelayScene.Who frozen, RelayScene scene) throws InterruptedException {
        if (frozen == RelayScene.Who.DECODE) {
          return scene.describe().map(agent -> agent.getOpenReaders() > 0).orElse(false);
        }
        // An engine that has everything answers in no time.
        Thread.sleep(300);
        return scene.gauge(RelayScene.Who.DECODE, "kv_cache_usage_perc").orElse(0.0) > 0;
      }
    };

    private final RelayScene.Who with;

    Moment(RelayScene.Who with) {
      this.with = with;
    }

    /** Whether it is a moment for this; of engines that hang the legs' deadlines are the end. */
    boolean isFor(RelayScene.Who who, Fault fault) {
      return who == RelayScene.Who.AGENT || (who == with && fault == Fault.KILLED);
    }

    /** Whether it is now. */
    abstract boolean is(DescribeReply agent, RelayScene scene);

    /** Whether it was when one of them was stopped, as another one says. */
    abstract boolean wasIt(RelayScene.Who frozen, RelayScene scene) throws InterruptedException;
  }

  private enum Fault {
    KILLED,
    STOPPED
  }

  private static GeometrySpec cache(int tensor, int block, Layout layout, int blocks) {
    ModelShape model = ModelShape.dense(8, 8, 128, ElementType.BFLOAT16);
    return new GeometrySpec(model, Parallelism.tensor(tensor), block, layout, blocks);
  }

  private static RelayScene scene() throws Exception {
    return new RelayScene(cache(1, 64, Layout.HND, 65), cache(2, 32, Layout.NHD, 129));
  }

  /** A request under way at the moment, somebody being stopped. */
  private record Caught(Future<HttpJson.Answer> answer, Instant at) {}

  private static Caught freezeAt(
      Moment moment, RelayScene.Who who, RelayScene scene, ExecutorService client, Random random)
      throws Exception {
    for (int i = 0; i < TRIES; i++) {
      String prompt = RelayScene.prompt(random, PROMPT_CHARACTERS);
      Future<HttpJson.Answer> answer = client.submit(() -> scene.ask(prompt));
      while (!answer.isDone()) {
        Optional<DescribeReply> agent = scene.describe();
        if (agent.isEmpty() || !moment.is(agent.get(), scene)) {
          continue;
        }
        RelayScene.freeze(scene.pid(who));
        Instant at = Instant.now();
        if (moment.wasIt(who, scene)) {
          return new Caught(answer, at);
        }
        RelayScene.thaw(scene.pid(who));
        break;
      }
      assertThat(answer.get().status()).as(answer.get().body().encode()).isEqualTo(200);
    }
    throw new AssertionError("never met the moment when an agent " + moment);
  }

  private static String outcome(HttpJson.Answer answer) {
    return answer.status() == 200
        ? "200"
        : "%d `%s`"
            .formatted(answer.status(), answer.body().getJsonObject("error").getValue("code"));
  }

  private static String seconds(Duration duration) {
    return "%.2f".formatted(duration.toMillis() / 1e3);
  }

  private static void awaitRightAnswers(RelayScene scene, Random random) throws Exception {
    Instant limit = Instant.now().plus(LONG);
    int right = 0;
    while (right < 3) {
      assertThat(Instant.now()).as(scene.lastWords()).isBefore(limit);
      String prompt = RelayScene.prompt(random, 200);
      HttpJson.Answer answer = scene.ask(prompt);
      if (answer.status() == 200) {
        assertThat(DemoRequest.text(answer.body())).isEqualTo(scene.expected(prompt));
        right++;
      } else {
        Thread.sleep(50);
      }
    }
  }

  private static String row(
      RelayScene.Who who,
      Fault fault,
      Moment moment,
      RelayScene scene,
      ExecutorService client,
      Random random)
      throws Exception {
    long pid = scene.pid(who);
    Caught caught = freezeAt(moment, who, scene, client, random);
    if (fault == Fault.KILLED) {
      RelayScene.kill(pid);
    }
    HttpJson.Answer answer = caught.answer().get();
    Duration answered = Duration.between(caught.at(), Instant.now());
    Thread.sleep(1000);
    RelayScene.Held held = scene.held();
    Instant back = Instant.now();
    if (fault == Fault.STOPPED) {
      RelayScene.thaw(pid);
    }
    Duration nothing = scene.awaitNothingHeld();
    awaitRightAnswers(scene, random);
    Duration right = Duration.between(back, Instant.now());
    return "| %s | %s | %s | %s | %s | %s | %s | %s |%n"
        .formatted(
            who,
            fault,
            moment,
            outcome(answer),
            seconds(answered),
            held,
            seconds(nothing),
            seconds(right));
  }

  @Test
  @Tag("soak")
  void anybodyFailsAtAnyMoment_clientsHearAndNothingStaysHeld() throws Exception {
    Random random = new Random(13);
    StringBuilder table =
        new StringBuilder(
            """
            | who | is | while the agent | client's answer | after, s | held 1 s later | nothing held another s later | three right answers by then, s |
            |---|---|---|---|--:|---|--:|--:|
            """);
    try (RelayScene scene = scene();
        ExecutorService client = Executors.newVirtualThreadPerTaskExecutor()) {
      scene.askAndCompare(RelayScene.prompt(random, PROMPT_CHARACTERS));
      for (RelayScene.Who who : RelayScene.Who.values()) {
        for (Moment moment : Moment.values()) {
          for (Fault fault : Fault.values()) {
            if (moment.isFor(who, fault)) {
              String row = row(who, fault, moment, scene, client, random);
              System.out.print(row);
              table.append(row);
            }
          }
        }
      }
    }
    System.out.printf("%n%s%n", table);
  }

  @Test
  void decodeEngineIsKilledWhileItReads_theAgentLetsGoLongBeforeTheCopyExpires() throws Exception {
    Random random = new Random(16);
    try (RelayScene scene = scene();
        ExecutorService client = Executors.newVirtualThreadPerTaskExecutor()) {
      long pid = scene.pid(RelayScene.Who.DECODE);
      Caught caught = freezeAt(Moment.SERVES_D, RelayScene.Who.DECODE, scene, client, random);

      RelayScene.kill(pid);

      HttpJson.Answer answer = caught.answer().get();
      assertThat(answer.status()).as(answer.body().encode()).isBetween(500, 504);
      Duration nothing = scene.awaitNothingHeld();
      assertThat(nothing).isLessThan(HOLD.dividedBy(2));
      awaitRightAnswers(scene, random);
    }
  }

  @Test
  void agentIsKilledWhileItReads_thePrefillEngineIsToldOnceAnotherOneIsThere() throws Exception {
    Random random = new Random(17);
    try (RelayScene scene = scene();
        ExecutorService client = Executors.newVirtualThreadPerTaskExecutor()) {
      long pid = scene.pid(RelayScene.Who.AGENT);
      Caught caught = freezeAt(Moment.READS_FROM_P, RelayScene.Who.AGENT, scene, client, random);

      RelayScene.kill(pid);

      assertThat(outcome(caught.answer().get())).isEqualTo("503 `blocks_not_brought`");
      Duration _ = scene.awaitNothingHeld();
      JsonObject ends = new JsonObject(scene.admin("/pd/workers")).getJsonObject("hand_offs");
      assertThat(ends.getInteger("expired")).as(ends.encode()).isZero();
      awaitRightAnswers(scene, random);
    }
  }

  /** Address space is what a process can be kept from getting more of while it runs. */
  @Test
  void machineHasNoMemoryForTheAgent_itIsRefusedUntilThereIs() throws Exception {
    Random random = new Random(15);
    try (RelayScene scene = scene()) {
      // Another one has set nothing aside for decode engines yet.
      scene.startAgentAnew();
      scene.limitMemory(RelayScene.Who.AGENT, 8 << 20);

      HttpJson.Answer answer = scene.ask(RelayScene.prompt(random, PROMPT_CHARACTERS));

      assertThat(outcome(answer)).isEqualTo("503 `blocks_not_brought`");
      // Whichever finds none first: what is set aside for blocks, or a thread.
      assertThat(answer.body().encode())
          .containsAnyOf("this machine has no", "the agent has no memory left");
      Duration nothing = scene.awaitNothingHeld();
      scene.limitMemory(RelayScene.Who.AGENT, Long.MAX_VALUE);
      scene.askAndCompare(RelayScene.prompt(random, PROMPT_CHARACTERS));
      System.out.printf(
          "no memory: %s, nothing held %s s later%n", outcome(answer), seconds(nothing));
    }
  }

  @Test
  void promptIsLargerThanTheAgentsMemory_itIsRefusedAndOthersAreNot() throws Exception {
    Random random = new Random(14);
    try (RelayScene scene = scene()) {
      Instant asked = Instant.now();

      HttpJson.Answer answer = scene.ask(RelayScene.prompt(random, TOO_MANY_CHARACTERS));

      assertThat(outcome(answer)).isEqualTo("503 `blocks_not_brought`");
      assertThat(answer.body().encode()).contains("memory.serving");
      assertThat(scene.admin("/metrics"))
          .contains("millrace_carriages_failed_total{reason=\"memory_full\",way=\"relay\"} ")
          .contains("millrace_carriage_seconds_count{way=\"relayed-staged\"} ")
          .contains("millrace_carriage_bytes_total{way=\"relayed-staged\"} ");
      Duration answered = Duration.between(asked, Instant.now());
      Duration nothing = scene.awaitNothingHeld();
      scene.askAndCompare(RelayScene.prompt(random, PROMPT_CHARACTERS));
      System.out.printf(
          "too large: %s after %s s, nothing held %s s later%n",
          outcome(answer), seconds(answered), seconds(nothing));
    }
  }
}
