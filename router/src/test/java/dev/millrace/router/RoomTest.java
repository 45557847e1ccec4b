package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.EngineKind;
import dev.millrace.config.Limits;
import dev.millrace.config.Pool;
import dev.millrace.config.Role;
import dev.millrace.config.Route;
import dev.millrace.config.WorkerAddress;
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
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** Prompts are computed only once a decode worker has room for what comes of them. */
final class RoomTest {
  private static final String COMPLETIONS = "/v1/completions";

  /** Of simulated engines a byte is a token. */
  private static final int PROMPT_TOKENS = 160;

  private static final int BLOCK = 16;
  private static final int PROMPT_BLOCKS = PROMPT_TOKENS / BLOCK;

  /** Room for one such prompt and its answer, and for no other. */
  private static final int DECODE_BLOCKS = 16;

  @RegisterExtension final Stage stage = new Stage();

  private SimulatedEngine engine(EngineRole role, int blocks, Timing timing) throws Exception {
    ModelShape model = ModelShape.dense(1, 1, 8, ElementType.BFLOAT16);
    return stage.simulated(
        EngineConfig.builder()
            .role(role)
            .model(Stage.MODEL)
            .geometry(new GeometrySpec(model, Parallelism.tensor(1), BLOCK, Layout.HND, blocks))
            .timing(timing)
            .build());
  }

  private SimulatedEngine prefill() throws Exception {
    return engine(EngineRole.PREFILL, 256, new Timing(1_000_000, Duration.ZERO));
  }

  /** An answer of 32 tokens takes it longer than any test. */
  private SimulatedEngine slowDecode() throws Exception {
    return engine(EngineRole.DECODE, DECODE_BLOCKS, new Timing(1_000_000, Duration.ofSeconds(5)));
  }

  private void open(SimulatedEngine p, SimulatedEngine d, int kvPercent, Duration patience)
      throws Exception {
    Pool prefill =
        Pool.of(
            "p",
            Role.PREFILL,
            Stage.MODEL,
            EngineKind.MILLRACE_SIM,
            List.of(WorkerAddress.of(p.uri())));
    Pool decode =
        Pool.of(
                "d",
                Role.DECODE,
                Stage.MODEL,
                EngineKind.MILLRACE_SIM,
                List.of(WorkerAddress.of(d.uri())))
            .withKvPercent(kvPercent);
    stage.openProbing(
        List.of(prefill, decode),
        Route.of(
                Stage.MODEL,
                dev.millrace.config.Stage.roundRobin("p"),
                dev.millrace.config.Stage.leastActive("d"))
            .withLimits(new Limits(100, 10, patience)));
  }

  private static String body(int number, int maxTokens) {
    return "{\"model\":\"tiny\",\"prompt\":\"%s\",\"max_tokens\":%d,\"stream\":true}"
        .formatted((number + "x").repeat(PROMPT_TOKENS / 2), maxTokens);
  }

  private RawClient ask(int number) {
    return stage.raw().send(RawClient.post(COMPLETIONS, body(number, 32)));
  }

  private JsonObject worker(int index) {
    return new JsonObject(stage.get(stage.adminUrl("/pd/workers")).body())
        .getJsonArray("workers")
        .getJsonObject(index);
  }

  private int prefillLegs() {
    return worker(0).getInteger("legs");
  }

  private JsonObject kv() {
    return worker(1).getJsonObject("kv");
  }

  /** Its tokens have been counted, and its answer goes on for long. */
  private void awaitPrefilled() throws InterruptedException {
    Stage.await(
        "the first has its room", () -> kv().getInteger("reserved_tokens") == PROMPT_TOKENS + 32);
  }

  @Test
  void decodeWorkerIsFull_theNextPromptIsComputedOnceThereIsRoom() throws Exception {
    SimulatedEngine p = prefill();
    SimulatedEngine d = slowDecode();
    open(p, d, 95, Duration.ofMinutes(1));
    RawClient first = ask(1);
    awaitPrefilled();
    assertThat(kv().getInteger("tokens")).isEqualTo(DECODE_BLOCKS * BLOCK);

    RawClient second = ask(2);
    Stage.await("the second waits for room", () -> stage.counted("waiting_for_room", 1));
    RawClient third = ask(3);
    Stage.await("the third behind it", () -> stage.counted("waiting_for_room", 2));
    assertThat(prefillLegs()).isEqualTo(1);
    assertThat(p.stats().heldBlocks()).isZero();

    first.reset();
    Stage.await("the second is computed", () -> prefillLegs() == 2);
    Stage.await("the third is next", () -> stage.counted("waiting_for_room", 1));
    third.reset();
    Stage.await("nobody waits", () -> stage.counted("waiting_for_room", 0));
    second.reset();
    Stage.await("all is given back", () -> kv().getInteger("reserved_tokens") == 0);
    assertThat(prefillLegs()).isEqualTo(2);
  }

  @Test
  void noRoomInTime_isRefusedWithoutAPrefill() throws Exception {
    SimulatedEngine d = slowDecode();
    open(prefill(), d, 95, Duration.ofMillis(100));
    RawClient first = ask(1);
    awaitPrefilled();

    HttpResponse<String> second = stage.post(COMPLETIONS, body(2, 32));

    assertThat(second.statusCode()).isEqualTo(503);
    assertThat(second.headers().firstValue("retry-after")).hasValue("1");
    assertThat(second.body()).contains("overloaded").contains("KV cache");
    assertThat(prefillLegs()).isEqualTo(1);
    first.reset();
  }

  /** What it is for: without it, blocks of prompts that nobody can read yet fill the other side. */
  @Test
  void withoutABound_promptsWaitAsBlocksOnThePrefillWorker() throws Exception {
    SimulatedEngine p = prefill();
    SimulatedEngine d = slowDecode();
    open(p, d, 1000, Duration.ofMinutes(1));
    RawClient first = ask(1);
    awaitPrefilled();
    List<RawClient> others = new ArrayList<>(List.of(first));

    for (int i = 2; i <= 6; i++) {
      others.add(ask(i));
    }

    Stage.await("P holds all of them", () -> p.stats().heldBlocks() >= 5 * PROMPT_BLOCKS);
    for (RawClient client : others) {
      client.reset();
    }
    Stage.await("P holds nothing", () -> p.stats().heldBlocks() == 0);
  }
}
