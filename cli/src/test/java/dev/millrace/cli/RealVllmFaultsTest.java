package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.transfer.sidechannel.ConnectorVersion;
import dev.millrace.transfer.sidechannel.RankId;
import dev.millrace.transfer.sidechannel.SideChannelClient;
import io.vertx.core.json.JsonObject;
import java.io.InputStream;
import java.net.http.HttpClient;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Real vLLM engines that are stopped, killed and started again under a router that goes on, and
 * clients that leave: what the client gets, what is left on the prefill engine, and that answers
 * are right again without a restart of the router.
 */
@Tag("vllm")
class RealVllmFaultsTest {
  private static final String COMPLETIONS = "/v1/completions";
  private static final String ROUTE =
      "transfer: engine, deadlines: {prefill: 60s, first-token: 120s, stream-idle: 60s}";
  private static final String EXPIRED = "vllm:nixl_num_kv_expired_reqs_total";
  private static final String USAGE = "vllm:kv_cache_usage_perc";
  private static final Duration LONG = Duration.ofMinutes(2);

  /** vLLM's default; its reaper comes a little later. */
  private static final Duration LEASE = Duration.ofSeconds(30);

  @TempDir static Path folder;
  private static final Random RANDOM = new Random();
  private static final List<String> ROWS = new ArrayList<>();
  private static final HttpClient CLIENT =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  private static VllmEngines engines;
  private static VllmRouter.Pair pair;

  @BeforeAll
  static void start() throws Exception {
    var _ = VllmEngines.assumeSetUpWithNixl(RealVllmFaultsTest.class);
    engines = VllmEngines.up("--dtype", "float32", "--aggregated", "yes");
    pair =
        new VllmRouter.Pair(
            engines.prefill(),
            engines.decode(),
            "layers: 4, kv-heads: 4, head-size: 32, dtype: fp32");
  }

  @BeforeEach
  void bothRun() throws Exception {
    engines.start();
    engines.untilFree(engines.prefill(), Duration.ofSeconds(45));
  }

  @AfterAll
  static void stop() throws Exception {
    System.out.println(
        "| what happens | what the client gets | what the engines hold | afterwards |\n|---|---|---|---|");
    ROWS.forEach(System.out::println);
    if (engines != null) {
      engines.close();
    }
  }

  private static JsonObject fresh(int tokens, int maxTokens) {
    return VllmAnswer.completion(VllmAnswer.prompt(RANDOM, tokens), maxTokens);
  }

  private static CompletableFuture<VllmAnswer> asked(VllmRouter router, JsonObject body) {
    return CLIENT
        .sendAsync(
            VllmAnswer.request(router.url(), COMPLETIONS, body, "fault"),
            HttpResponse.BodyHandlers.ofString())
        .thenApply(response -> VllmAnswer.of(response.statusCode(), response.body()));
  }

  private static VllmAnswer result(CompletableFuture<VllmAnswer> answer) {
    return answer.orTimeout(LONG.toSeconds(), TimeUnit.SECONDS).join();
  }

  /** How long it takes until an answer is that of one engine, and how many were refused before. */
  private static String recovered(VllmRouter router) throws Exception {
    Instant start = Instant.now();
    int refused = 0;
    while (true) {
      JsonObject body = fresh(100, 16);
      VllmAnswer answer = router.ask(COMPLETIONS, body, "after");
      if (answer.status() == 200) {
        assertThat(answer.says(VllmAnswer.ask(engines.aggregated().url(), COMPLETIONS, body)))
            .as("%s", answer)
            .isTrue();
        return "right after %.1f s, %d refused before"
            .formatted(Duration.between(start, Instant.now()).toMillis() / 1e3, refused);
      }
      assertThat(answer.status()).as(answer.text()).isBetween(500, 504);
      assertThat(Instant.now()).as(answer.text()).isBefore(start.plus(LONG));
      refused++;
      Thread.sleep(250);
    }
  }

  private static void row(String... cells) {
    ROWS.add("| " + String.join(" | ", cells) + " |");
  }

  /** Shortens a refusal to what a program reads of it. */
  private static String told(VllmAnswer answer) {
    if (!answer.text().startsWith("{")) {
      return answer.status() + (answer.status() == 200 ? "" : " " + answer.text());
    }
    JsonObject error = new JsonObject(answer.text()).getJsonObject("error");
    return "%d `%s`".formatted(answer.status(), error.getValue("code"));
  }

  private static VllmRouter router(boolean agent) throws Exception {
    VllmRouter router =
        agent ? VllmRouter.withAgent(folder, pair, ROUTE) : VllmRouter.serve(folder, pair, ROUTE);
    router.untilUsable();
    return router;
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void clientsLeave_noBlockOutlivesItsLease(boolean agent) throws Exception {
    try (VllmRouter router = router(agent)) {
      double expired = engines.metric(engines.prefill(), EXPIRED);
      for (int i = 0; i < 30; i++) {
        JsonObject body = VllmAnswer.streamed(fresh(500, 200));
        CompletableFuture<HttpResponse<InputStream>> answer =
            CLIENT.sendAsync(
                VllmAnswer.request(router.url(), COMPLETIONS, body, "leaving-" + i),
                HttpResponse.BodyHandlers.ofInputStream());
        Thread.sleep(30L * i);
        if (answer.isDone()) {
          answer.join().body().close();
        } else {
          answer.cancel(true);
        }
      }
      // A prefill leg that goes on for half a second after its client left is reset; where that
      // crosses with its answer, nobody learns of the blocks.
      Duration free = engines.untilFree(engines.prefill(), LEASE.plusSeconds(15));
      engines.untilFree(engines.decode(), Duration.ofSeconds(10));
      double more = engines.metric(engines.prefill(), EXPIRED) - expired;
      row(
          "30 clients leave 0 to 870 ms after asking, "
              + (agent ? "with an agent" : "without an agent"),
          "nothing",
          "P free after %d ms, %.0f expired; %s".formatted(free.toMillis(), more, ends(router)),
          recovered(router));
    }
  }

  /** How a router's hand-offs have ended. */
  private static String ends(VllmRouter router) {
    JsonObject handOffs = router.page("/pd/workers").getJsonObject("hand_offs");
    return handOffs.stream()
        .filter(end -> !List.of("released", "open").contains(end.getKey()))
        .filter(end -> !end.getValue().equals(0))
        .map(end -> end.getValue() + " " + end.getKey().replace('_', ' '))
        .collect(Collectors.joining(", "));
  }

  /** Only an agent can tell the prefill engine while the decode engine stands still. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void clientLeavesAfterThePrefillLeg_blocksAreFreeBeforeTheLeaseEnds(boolean agent)
      throws Exception {
    try (VllmRouter router = router(agent)) {
      double expired = engines.metric(engines.prefill(), EXPIRED);
      engines.signal(VllmEngines.DECODE, "STOP");
      Duration free;
      try {
        CompletableFuture<HttpResponse<String>> answer =
            CLIENT.sendAsync(
                VllmAnswer.request(router.url(), COMPLETIONS, fresh(500, 16), "leaving"),
                HttpResponse.BodyHandlers.ofString());
        Instant limit = Instant.now().plus(LONG);
        while (router.page("/pd/handoffs").getJsonArray("handoffs").isEmpty()
            || engines.metric(engines.prefill(), USAGE) == 0) {
          assertThat(Instant.now()).isBefore(limit);
          Thread.sleep(20);
        }
        answer.cancel(true);
        if (!agent) {
          engines.signal(VllmEngines.DECODE, "CONT");
        }
        free = engines.untilFree(engines.prefill(), Duration.ofSeconds(15));
      } finally {
        engines.signal(VllmEngines.DECODE, "CONT");
      }
      assertThat(engines.metric(engines.prefill(), EXPIRED)).isEqualTo(expired);
      row(
          agent
              ? "a client leaves after the prefill leg, while D stands still, with an agent"
              : "a client leaves after the prefill leg, and D, which stood still, goes on, without an agent",
          "nothing",
          "P free after %d ms, none expired; %s".formatted(free.toMillis(), ends(router)),
          recovered(router));
    }
  }

  /** A decode engine that stands still neither reads nor prolongs; the router's agent does. */
  @Test
  void decodeStandsStill_anAgentKeepsTheBlocksBeyondTheLease() throws Exception {
    try (VllmRouter router = router(true)) {
      JsonObject body = fresh(500, 16);
      VllmAnswer expected = VllmAnswer.ask(engines.aggregated().url(), COMPLETIONS, body);
      double expired = engines.metric(engines.prefill(), EXPIRED);
      engines.signal(VllmEngines.DECODE, "STOP");
      CompletableFuture<VllmAnswer> answer = asked(router, body);
      double kept;
      try {
        Thread.sleep(LEASE.plusSeconds(10));
        kept = engines.metric(engines.prefill(), USAGE);
      } finally {
        engines.signal(VllmEngines.DECODE, "CONT");
      }
      assertThat(kept).as("P's usage ten seconds after the lease").isPositive();
      VllmAnswer got = result(answer);
      assertThat(got.says(expected)).as("%s instead of %s", got, expected).isTrue();
      assertThat(engines.metric(engines.prefill(), EXPIRED)).isEqualTo(expired);
      Duration free = engines.untilFree(engines.prefill(), Duration.ofSeconds(10));
      row(
          "D stands still for 40 s, with an agent",
          "200, the right answer",
          "P keeps the blocks by heartbeats, free %d ms after the answer"
              .formatted(free.toMillis()),
          recovered(router));
    }
  }

  @Test
  void decodeStandsStill_withoutAnAgentTheBlocksExpire() throws Exception {
    try (VllmRouter router = router(false)) {
      JsonObject body = fresh(500, 16);
      VllmAnswer expected = VllmAnswer.ask(engines.aggregated().url(), COMPLETIONS, body);
      double expired = engines.metric(engines.prefill(), EXPIRED);
      engines.signal(VllmEngines.DECODE, "STOP");
      Instant start = Instant.now();
      CompletableFuture<VllmAnswer> answer = asked(router, body);
      Duration held;
      try {
        while (engines.metric(engines.prefill(), EXPIRED) == expired) {
          assertThat(Duration.between(start, Instant.now())).isLessThan(Duration.ofSeconds(50));
          Thread.sleep(100);
        }
        held = Duration.between(start, Instant.now());
      } finally {
        engines.signal(VllmEngines.DECODE, "CONT");
      }
      assertThat(held).isGreaterThan(LEASE.minusSeconds(1));
      VllmAnswer got = result(answer);
      // What was freed and not yet used again can still be read, and is right.
      assertThat(got.status() != 200 || got.says(expected)).as("%s", got).isTrue();
      row(
          "D stands still until the lease ends, without an agent",
          told(got),
          "P frees after %.1f s, `nixl_num_kv_expired_reqs_total` +1"
              .formatted(held.toMillis() / 1e3),
          recovered(router));
    }
  }

  @Test
  void prefillIsKilledWithAPromptInIt() throws Exception {
    try (VllmRouter router = router(false)) {
      engines.signal(VllmEngines.PREFILL, "STOP");
      CompletableFuture<VllmAnswer> answer = asked(router, fresh(1900, 16));
      Thread.sleep(500);
      Instant killed = Instant.now();
      engines.kill(VllmEngines.PREFILL);
      VllmAnswer got = result(answer);
      long millis = Duration.between(killed, Instant.now()).toMillis();
      assertThat(got.status()).as(got.text()).isBetween(502, 504);
      VllmAnswer next = router.ask(COMPLETIONS, fresh(100, 16), "while-down");
      assertThat(next.status()).as(next.text()).isBetween(502, 504);
      engines.start();
      row(
          "P killed in the middle of a prompt",
          "%s after %d ms; while P is down %s".formatted(told(got), millis, told(next)),
          "–",
          "P back: " + recovered(router));
    }
  }

  @Test
  void decodeIsKilledInTheMiddleOfAStream() throws Exception {
    try (VllmRouter router = router(false)) {
      HttpResponse<InputStream> response =
          CLIENT.send(
              VllmAnswer.request(
                  router.url(), COMPLETIONS, VllmAnswer.streamed(fresh(100, 1500)), "killed"),
              HttpResponse.BodyHandlers.ofInputStream());
      assertThat(response.statusCode()).isEqualTo(200);
      StringBuilder said = new StringBuilder();
      try (InputStream body = response.body()) {
        while (said.toString().split("data: ", -1).length < 6) {
          said.append((char) body.read());
        }
        engines.kill(VllmEngines.DECODE);
        String rest = new String(body.readAllBytes(), java.nio.charset.StandardCharsets.UTF_8);
        said.append(rest);
      }
      List<String> lines =
          said.toString().lines().filter(line -> line.startsWith("data: ")).toList();
      String last =
          lines.getLast().equals("data: [DONE]") ? lines.get(lines.size() - 2) : lines.getLast();
      JsonObject error = new JsonObject(last.substring("data: ".length())).getJsonObject("error");
      assertThat(error).as(last).isNotNull();
      Duration free = engines.untilFree(engines.prefill(), Duration.ofSeconds(5));
      VllmAnswer next = router.ask(COMPLETIONS, fresh(100, 16), "while-down");
      assertThat(next.status()).as(next.text()).isBetween(502, 504);
      engines.start();
      row(
          "D killed in the middle of a stream",
          "%d events, then an event with the error `%s`%s; while D is down %s"
              .formatted(
                  lines.size() - 1,
                  error.getValue("code"),
                  lines.getLast().equals("data: [DONE]") ? " and `[DONE]`" : "",
                  told(next)),
          "P free after %d ms".formatted(free.toMillis()),
          "D back: " + recovered(router));
    }
  }

  @Test
  void decodeIsStartedAgain_underAnotherEngineId() throws Exception {
    try (VllmRouter router = router(false)) {
      recovered(router);
      engines.down(VllmEngines.DECODE);
      engines.start();
      row("D started again, with another engine id", "–", "–", recovered(router));
    }
  }

  /** Caches of another element type: vLLM would refuse every request, and hold P's blocks. */
  @Test
  void decodeComesBackWithAnotherElementType_isNotAskedUntilItFits() throws Exception {
    try (VllmRouter router = router(false)) {
      recovered(router);
      engines.down(VllmEngines.DECODE);
      engines.start("--decode-dtype", "bfloat16");
      JsonObject edge = refused(router);
      Instant asked = Instant.now();
      VllmAnswer answer = router.ask(COMPLETIONS, fresh(100, 16), "other-type");
      long millis = Duration.between(asked, Instant.now()).toMillis();
      assertThat(answer.status()).as(answer.text()).isEqualTo(503);
      assertThat(edge.encode()).contains("compatibility-hash");
      assertThat(engines.metric(engines.prefill(), USAGE)).isZero();
      engines.down(VllmEngines.DECODE);
      engines.start();
      row(
          "D comes back with a cache of another element type",
          "%s after %d ms, before any engine is asked".formatted(told(answer), millis),
          "P holds nothing",
          "D as it was: " + recovered(router));
    }
  }

  private static JsonObject refused(VllmRouter router) throws InterruptedException {
    Instant limit = Instant.now().plus(LONG);
    JsonObject edge = router.edge();
    while (!edge.getString("state").equals("refused")) {
      assertThat(Instant.now()).as(edge.encode()).isBefore(limit);
      Thread.sleep(50);
      edge = router.edge();
    }
    return edge;
  }

  /** vLLM's listener ends for good when it is asked for a rank that it does not have. */
  @Test
  void sideChannelIsClosed_knownPairsGoOn_newOnesAreNotUsed() throws Exception {
    try (VllmRouter router = router(false)) {
      String before = recovered(router);
      String[] side = engines.prefill().sideChannel().split(":", -1);
      try (SideChannelClient client = new SideChannelClient()) {
        var _ =
            client
                .ask(
                    side[0],
                    Integer.parseInt(side[1]),
                    new RankId(0, 7),
                    ConnectorVersion.V14,
                    Duration.ofSeconds(2))
                .exceptionally(_ -> null)
                .toCompletableFuture()
                .get(10, TimeUnit.SECONDS);
      } catch (java.util.concurrent.ExecutionException expected) {
        assertThat(expected).isNotNull();
      }
      String known = recovered(router);
      engines.down(VllmEngines.DECODE);
      engines.start();
      Instant asked = Instant.now();
      VllmAnswer fresh = router.ask(COMPLETIONS, fresh(100, 16), "new-pair");
      long millis = Duration.between(asked, Instant.now()).toMillis();
      assertThat(fresh.status()).as(fresh.text()).isBetween(500, 504);
      engines.down(VllmEngines.PREFILL);
      engines.start();
      row(
          "P's side channel closed",
          "the known pair: %s; after D was started again: %s after %d ms"
              .formatted(known, told(fresh), millis),
          "–",
          "P started again: " + recovered(router));
      assertThat(before).isNotBlank();
    }
  }
}
