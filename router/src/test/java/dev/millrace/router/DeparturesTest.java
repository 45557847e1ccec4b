package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Parallelism;
import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.EngineRole;
import dev.millrace.simulator.SimulatedEngine;
import dev.millrace.simulator.Timing;
import io.vertx.core.json.JsonObject;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Clients that leave at any moment: while the prompt is computed, between the legs, before the
 * first token, in the stream, or not at all. Whatever a prefill worker held for them is freed, and
 * every entry of the ledger ends once.
 */
final class DeparturesTest {
  /** 60 tokens take the prefill engine 20 ms, and the answer takes about as long. */
  private static final Timing TIMING = new Timing(3000, Duration.ofMillis(2));

  private static final int LONGEST_STAY_MILLIS = 60;
  private static final int CLIENTS = 8;

  @RegisterExtension final Stage stage = new Stage();
  @TempDir Path folder;

  private SimulatedEngine engine(EngineRole role) throws Exception {
    EngineConfig config =
        EngineConfig.builder()
            .role(role)
            .model(Stage.MODEL)
            .timing(TIMING)
            .lease(Duration.ofSeconds(5))
            .geometry(
                new GeometrySpec(
                    ModelShape.dense(2, 2, 16, ElementType.BFLOAT16),
                    Parallelism.tensor(1),
                    16,
                    Layout.HND,
                    512))
            .build();
    return stage.simulated(config);
  }

  private void exchanges(int count, boolean withAgent) throws Exception {
    SimulatedEngine prefill = engine(EngineRole.PREFILL);
    SimulatedEngine decode = engine(EngineRole.DECODE);
    List<TestAgent> agents = new ArrayList<>();
    if (withAgent) {
      agents.add(stage.closing(TestAgent.reaching(stage.vertx(), folder, prefill)));
    }
    stage.open(
        List.of(prefill.uri()),
        List.of(decode.uri()),
        UnaryOperator.identity(),
        agents.stream().map(TestAgent::address).toList());
    if (withAgent) {
      Stage.await(
          "the agent answers",
          () -> stage.get(stage.adminUrl("/pd/agents")).body().contains("\"state\":\"up\""));
    }

    try (ExecutorService clients = Executors.newFixedThreadPool(CLIENTS)) {
      List<Future<Boolean>> all = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        all.add(clients.submit(client(i)));
      }
      int stayed = 0;
      for (Future<Boolean> each : all) {
        stayed += each.get() ? 1 : 0;
      }
      long start = System.nanoTime();
      Stage.await("the prefill engine holds no block", () -> prefill.stats().heldBlocks() == 0);
      Stage.await("the ledger is empty", () -> ends().getInteger("open") == 0);
      long settled = Duration.ofNanos(System.nanoTime() - start).toMillis();
      JsonObject ends = ends();
      System.out.printf(
          "%d exchanges, %s, %d clients stayed: %s; at rest %d ms later%n",
          count, withAgent ? "with an agent" : "without an agent", stayed, ends.encode(), settled);
      assertThat(ends.getInteger("consumed")).isGreaterThanOrEqualTo(stayed);
      assertThat(ends.getInteger("expired") + ends.getInteger("lost")).isZero();
      assertThat(ends.getLong("consumed") + ends.getLong("released"))
          .as("every hand-off of the prefill engine has one end")
          .isEqualTo(prefill.stats().releasedHandoffs());
      // An answer may still cross with the reset of its leg, on a machine that stands still.
      long crossed = prefill.stats().expiredHandoffs();
      assertThat(crossed).as("answers that nobody heard").isLessThanOrEqualTo(count / 50);
    }
  }

  private JsonObject ends() {
    return new JsonObject(stage.get(stage.adminUrl("/pd/workers")).body())
        .getJsonObject("hand_offs");
  }

  /** Says whether the client has stayed to the end. */
  private Callable<Boolean> client(int number) {
    Random random = new Random(number);
    int stay = random.nextInt(LONGEST_STAY_MILLIS * 6 / 5);
    String body =
        "{\"model\":\"tiny\",\"prompt\":\"%060d\",\"max_tokens\":8,\"stream\":%s}"
            .formatted(number, random.nextBoolean());
    return () -> {
      try (RawClient client = stage.raw().send(RawClient.post("/v1/completions", body))) {
        if (stay >= LONGEST_STAY_MILLIS) {
          String answer = client.readUntil("\"finish_reason\":\"length\"");
          return answer.startsWith("HTTP/1.1 200 ");
        }
        Thread.sleep(stay);
        client.reset();
        return false;
      }
    };
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void clientsLeaveAtAnyMoment_nothingStaysHeld(boolean withAgent) throws Exception {
    exchanges(150, withAgent);
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  @Tag("soak")
  void tenThousandClientsLeaveAtAnyMoment_nothingStaysHeld(boolean withAgent) throws Exception {
    exchanges(5000, withAgent);
  }
}
