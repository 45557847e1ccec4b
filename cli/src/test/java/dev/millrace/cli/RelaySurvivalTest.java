package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Transfer;
import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Parallelism;
import io.vertx.core.json.JsonObject;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.TreeSet;
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

  /** Children of the demo, in their order. */
  enum Victim {
    PREFILL(0),
    DECODE(1),
    AGENT(2);

    final int child;

    Victim(int child) {
      this.child = child;
    }
  }

  private static DemoSetup setup() {
    ModelShape model = ModelShape.dense(3, 4, 32, ElementType.BFLOAT16);
    return new DemoSetup(
        TransportChoice.TCP,
        new GeometrySpec(model, Parallelism.tensor(1), 64, Layout.HND, 129),
        new GeometrySpec(model, Parallelism.tensor(2), 32, Layout.NHD, 257),
        1,
        1,
        0,
        0,
        Duration.ZERO,
        Transfer.RELAY);
  }

  private static HttpJson.Answer ask(Demo demo, HttpJson http, String prompt) {
    return http.post(
        demo.routerUrl().resolve("/v1/chat/completions"), DemoRequest.chat(prompt, 8), "survival");
  }

  private static String expected(Demo demo, HttpJson http, String prompt) {
    return DemoRequest.text(
        http.post(
                demo.aggregated().uri().resolve("/v1/chat/completions"),
                DemoRequest.chat(prompt, 8),
                "expected")
            .body());
  }

  private static String prompt(Random random) {
    return random
        .ints(200, 'a', 'z' + 1)
        .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
        .toString();
  }

  private static void awaitNothingHeld(Demo demo, HttpJson http) throws InterruptedException {
    Instant limit = Instant.now().plus(LONG);
    String seen = "";
    while (Instant.now().isBefore(limit)) {
      JsonObject agent =
          http.get(demo.adminUrl().resolve("/pd/agents"))
              .body()
              .getJsonArray("agents")
              .getJsonObject(0);
      double usage =
          http.text(demo.engines().prefill().getFirst().uri().resolve("/metrics"))
              .lines()
              .filter(line -> line.startsWith("vllm:kv_cache_usage_perc"))
              .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)))
              .sum();
      seen = "P's usage %s, %s".formatted(usage, agent.encode());
      if (usage == 0 && agent.getInteger("held_copies", -1) == 0) {
        return;
      }
      Thread.sleep(50);
    }
    throw new AssertionError(seen);
  }

  @ParameterizedTest
  @EnumSource(Victim.class)
  void oneIsKilled_clientsHearOfItAndAfterwardsAnswersAreRight(Victim victim) throws Exception {
    Random random = new Random(11);
    StringWriter said = new StringWriter();
    try (Demo demo = Demo.start(setup(), new PrintWriter(said, true));
        HttpJson http = new HttpJson()) {
      String first = prompt(random);
      assertThat(DemoRequest.text(ask(demo, http, first).body()))
          .isEqualTo(expected(demo, http, first));
      List<Child> children = ((EnginesApart) demo.engines()).children();
      Child child = children.get(victim.child);
      long pid = child.pid();

      ProcessHandle.of(pid).orElseThrow().destroyForcibly();

      List<Integer> statuses = new ArrayList<>();
      Instant limit = Instant.now().plus(LONG);
      int right = 0;
      while (right < 5) {
        assertThat(Instant.now()).as("%s; %s", statuses, said).isBefore(limit);
        String prompt = prompt(random);
        HttpJson.Answer answer = ask(demo, http, prompt);
        if (answer.status() == 200) {
          assertThat(DemoRequest.text(answer.body())).isEqualTo(expected(demo, http, prompt));
          right += child.pid() == pid ? 0 : 1;
        } else {
          assertThat(answer.status()).as(answer.body().encode()).isBetween(500, 504);
          assertThat(answer.body().getJsonObject("error").getString("code")).isNotBlank();
          statuses.add(answer.status());
          Thread.sleep(50);
        }
      }
      System.out.printf(
          "%s killed: %d answers of status %s, then right ones%n",
          victim, statuses.size(), new TreeSet<>(statuses));
      awaitNothingHeld(demo, http);
    }
  }

  @Test
  @Tag("soak")
  void twoThousandRelayedExchanges_areRightAndLeaveNothing() throws Exception {
    Random random = new Random(12);
    try (Demo demo = Demo.start(setup(), new PrintWriter(new StringWriter()));
        HttpJson http = new HttpJson()) {
      for (int i = 0; i < 2000; i++) {
        String prompt = prompt(random);
        assertThat(DemoRequest.text(ask(demo, http, prompt).body()))
            .isEqualTo(expected(demo, http, prompt));
      }
      awaitNothingHeld(demo, http);
    }
  }
}
