package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Transfer;
import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Parallelism;
import java.io.PrintWriter;
import java.io.Writer;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * A decode engine with room for two requests is sent a dozen: until it reads them, the prefill
 * engine holds their blocks, unless an agent has taken them. The table that is printed says how
 * much that is, in blocks times seconds.
 */
@Tag("soak")
class EarlyReleaseTest {
  private static final int REQUESTS = 12;
  private static final int ROOM = 2;
  private static final int PROMPT_CHARACTERS = 1000;
  private static final int ANSWER_TOKENS = 50;

  /** For a prompt, what a chat puts around it, and its answer. */
  private static final int BLOCKS_PER_REQUEST = 72;

  private static final int PREFILL_BLOCKS = REQUESTS * BLOCKS_PER_REQUEST;
  private static final Duration BETWEEN_LOOKS = Duration.ofMillis(5);

  /** What was seen while the requests were answered. */
  private static final class Seen {
    private double heldBlockSeconds;
    private double waitingSeconds;
    private double mostHeld;
    private int mostWaitingWhileNothingWasHeld;
    private double seconds;

    void add(double held, int waiting, double elapsedSeconds) {
      heldBlockSeconds += held * elapsedSeconds;
      waitingSeconds += waiting * elapsedSeconds;
      mostHeld = Math.max(mostHeld, held);
      if (held == 0) {
        mostWaitingWhileNothingWasHeld = Math.max(mostWaitingWhileNothingWasHeld, waiting);
      }
      seconds += elapsedSeconds;
    }

    /** As a row of the table; of requests that all came at once, so sums are means of each. */
    String row(Duration interToken, Transfer way) {
      return String.format(
          Locale.ROOT,
          "| %.2f | %s | %.2f | %.1f | %.0f | %.2f |",
          interToken.multipliedBy(ANSWER_TOKENS).toMillis() / 1e3,
          way.name().toLowerCase(Locale.ROOT),
          waitingSeconds / REQUESTS,
          heldBlockSeconds / REQUESTS,
          mostHeld,
          seconds);
    }
  }

  private static DemoSetup setup(Transfer way, Duration interToken) {
    ModelShape model = ModelShape.dense(3, 4, 32, ElementType.BFLOAT16);
    return new DemoSetup(
        TransportChoice.TCP,
        new GeometrySpec(model, Parallelism.tensor(1), 16, Layout.HND, PREFILL_BLOCKS + 1),
        new GeometrySpec(
            model, Parallelism.tensor(1), 16, Layout.HND, ROOM * BLOCKS_PER_REQUEST + 1),
        1,
        1,
        0,
        0,
        interToken,
        way);
  }

  private static double gauge(HttpJson http, URI engine, String name) {
    return http.text(engine.resolve("/metrics"))
        .lines()
        .filter(line -> line.startsWith("vllm:" + name + "{"))
        .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)))
        .sum();
  }

  private static String prompt(Random random) {
    return random
        .ints(PROMPT_CHARACTERS, 'a', 'z' + 1)
        .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
        .toString();
  }

  private static HttpJson.Answer ask(Demo demo, HttpJson http, String prompt, int tokens) {
    return http.post(
        demo.routerUrl().resolve("/v1/chat/completions"),
        DemoRequest.chat(prompt, tokens),
        "early-release");
  }

  private static Seen watch(Transfer way, Duration interToken) throws Exception {
    Random random = new Random(interToken.toMillis());
    try (Demo demo = Demo.start(setup(way, interToken), new PrintWriter(Writer.nullWriter()));
        HttpJson http = new HttpJson();
        ExecutorService clients = Executors.newVirtualThreadPerTaskExecutor()) {
      URI prefill = demo.engines().prefill().getFirst().uri();
      URI decode = demo.engines().decode().getFirst().uri();
      for (int i = 0; i < 5; i++) {
        assertThat(ask(demo, http, prompt(random), 1).status()).isEqualTo(200);
      }
      List<Future<HttpJson.Answer>> answers = new ArrayList<>();
      for (int i = 0; i < REQUESTS; i++) {
        String prompt = prompt(random);
        answers.add(clients.submit(() -> ask(demo, http, prompt, ANSWER_TOKENS)));
      }
      Seen seen = new Seen();
      long last = System.nanoTime();
      while (!answers.stream().allMatch(Future::isDone)) {
        Thread.sleep(BETWEEN_LOOKS);
        double held = gauge(http, prefill, "kv_cache_usage_perc") * PREFILL_BLOCKS;
        int waiting = (int) gauge(http, decode, "num_requests_waiting");
        long now = System.nanoTime();
        seen.add(held, waiting, (now - last) / 1e9);
        last = now;
      }
      for (Future<HttpJson.Answer> answer : answers) {
        assertThat(answer.get().status()).as(answer.get().body().encode()).isEqualTo(200);
      }
      return seen;
    }
  }

  @Test
  void decodeEngineWithAQueue_prefillEngineHoldsNothingForItOverARelay() throws Exception {
    StringBuilder table =
        new StringBuilder(
            """
            | an answer takes D, s | way | waits for D, s | block-seconds held on P | most blocks held | all answered, s |
            |--:|---|--:|--:|--:|--:|
            """);
    for (int millis : List.of(2, 8, 24)) {
      Duration interToken = Duration.ofMillis(millis);
      for (Transfer way : List.of(Transfer.ENGINE, Transfer.RELAY)) {
        Seen seen = watch(way, interToken);
        table.append(seen.row(interToken, way)).append('\n');
        if (way == Transfer.RELAY) {
          assertThat(seen.mostWaitingWhileNothingWasHeld)
              .as("requests in D's queue of which P holds nothing")
              .isPositive();
        }
      }
    }
    System.out.printf(
        "%n%d requests of %d characters at once, D has room for %d; waits and block-seconds per request%n%n%s%n",
        REQUESTS, PROMPT_CHARACTERS, ROOM, table);
  }
}
