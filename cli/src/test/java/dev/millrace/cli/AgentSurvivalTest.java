package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.AgentAddress;
import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Parallelism;
import dev.millrace.transfer.rpc.AgentClient;
import dev.millrace.transfer.rpc.Token;
import dev.millrace.transfer.rpc.v1.AfterRead;
import dev.millrace.transfer.rpc.v1.BlockIds;
import dev.millrace.transfer.rpc.v1.DescribeReply;
import dev.millrace.transfer.rpc.v1.Engine;
import dev.millrace.transfer.rpc.v1.HandOff;
import dev.millrace.transfer.rpc.v1.Holder;
import dev.millrace.transfer.rpc.v1.ReadReply;
import dev.millrace.transfer.rpc.v1.ReadRequest;
import dev.millrace.transfer.rpc.v1.ReleaseRequest;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Engines and an agent in processes of their own, over NIXL, of which some are killed while blocks
 * are read. Whoever is not killed goes on, and nothing stays held.
 */
@ExtendWith(NixlDemoTest.WhereInstalled.class)
class AgentSurvivalTest {
  private static final Duration LONG = Duration.ofSeconds(60);
  private static final int PROMPT_TOKENS = 2000;

  /** In how many rounds one process is killed. */
  private static final int KILL_EVERY = 5;

  /** After so many of a survivor's rounds its heaps, pools and code have their size. */
  private static final double WARM = 0.5;

  private static final double FLAT = 0.05;

  /** Who is killed; the other one's memory is watched. */
  private enum Victim {
    AGENT,
    ENGINE
  }

  /** What came of the rounds. */
  private static final class Tally {
    int done;
    int failed;
    int kills;
  }

  /** A demo, and a caller of its agent and of its prefill engine. */
  private static final class Scene implements AutoCloseable {
    final StringWriter said = new StringWriter();
    final Demo demo =
        Demo.start(
            new DemoSetup(TransportChoice.NIXL, cache(1), cache(2), 1, 1, 0, 0, Duration.ZERO),
            new PrintWriter(said, true));
    final Vertx vertx = Vertx.vertx();
    final HttpJson http = new HttpJson();
    final AgentClient client;

    Scene() throws IOException {
      AgentAddress address = demo.engines().agent().orElseThrow();
      client =
          new AgentClient(
              vertx,
              address.url().getHost(),
              address.url().getPort(),
              Token.of(Files.readString(address.tokenFile()).strip()));
    }

    private static GeometrySpec cache(int tensor) {
      ModelShape model = ModelShape.dense(8, 4, 64, ElementType.BFLOAT16);
      return new GeometrySpec(model, Parallelism.tensor(tensor), 16, Layout.HND, 513);
    }

    Child child(Victim victim) {
      EnginesApart apart = (EnginesApart) demo.engines();
      return switch (victim) {
        case AGENT -> apart.children().getLast();
        case ENGINE -> apart.children().getFirst();
      };
    }

    URI prefill() {
      return demo.engines().prefill().getFirst().uri();
    }

    /** The prefill leg, as a router sends it; empty while the engine is not there. */
    Optional<HandOff> prefill(String prompt) {
      JsonObject body =
          new JsonObject()
              .put("model", DemoSetup.MODEL)
              .put("prompt", prompt)
              .put("max_tokens", 1)
              .put(
                  "kv_transfer_params",
                  new JsonObject().put("do_remote_decode", true).put("do_remote_prefill", false));
      try {
        HttpJson.Answer answer = http.post(prefill().resolve("/v1/completions"), body, "soak");
        return answer.status() == 200
            ? Optional.of(handOff(answer.body().getJsonObject("kv_transfer_params")))
            : Optional.empty();
      } catch (Failure gone) {
        return Optional.empty();
      }
    }

    private static HandOff handOff(JsonObject params) {
      HandOff.Builder handOff =
          HandOff.newBuilder()
              .setEngine(
                  Engine.newBuilder()
                      .setEngineId(params.getString("remote_engine_id"))
                      .setSideChannelHost(params.getString("remote_host"))
                      .setSideChannelPort(params.getInteger("remote_port"))
                      .setTensorParallel(params.getInteger("tp_size")))
              .setRequestId(params.getString("remote_request_id"))
              .setTokens(params.getInteger("remote_num_tokens"));
      for (Object group : params.getJsonArray("remote_block_ids")) {
        BlockIds.Builder ids = BlockIds.newBuilder();
        ((JsonArray) group).forEach(id -> ids.addIds((Integer) id));
        handOff.addGroups(ids);
      }
      return handOff.build();
    }

    Future<ReadReply> read(HandOff handOff) {
      return client
          .read(
              ReadRequest.newBuilder()
                  .setHandOff(handOff)
                  .setAfterRead(AfterRead.AFTER_READ_RELEASE)
                  .build(),
              progress -> {},
              Duration.ofSeconds(10))
          .outcome();
    }

    /** Whether both the engine's blocks and the agent's copy are gone. */
    boolean release(HandOff handOff, Holder holder) {
      ReleaseRequest request =
          ReleaseRequest.newBuilder().setHandOff(handOff).setHolder(holder).build();
      return succeeded(client.release(request, Duration.ofSeconds(5)));
    }

    DescribeReply describe() {
      return client
          .describe(Duration.ofSeconds(5))
          .toCompletionStage()
          .toCompletableFuture()
          .orTimeout(10, TimeUnit.SECONDS)
          .join();
    }

    /** What the processes have said lately. */
    String lastWords() {
      String all = said.toString();
      return all.substring(Math.max(0, all.length() - 2000));
    }

    double usage() {
      try {
        return http.text(prefill().resolve("/metrics"))
            .lines()
            .filter(line -> line.startsWith("vllm:kv_cache_usage_perc"))
            .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)))
            .sum();
      } catch (Failure gone) {
        return 1;
      }
    }

    @Override
    public void close() throws Exception {
      succeeded(client.close());
      http.close();
      demo.close();
      succeeded(vertx.close());
    }
  }

  private static boolean succeeded(Future<?> future) {
    try {
      future.toCompletionStage().toCompletableFuture().orTimeout(15, TimeUnit.SECONDS).join();
      return true;
    } catch (CompletionException failed) {
      return false;
    }
  }

  private static void await(String what, BooleanSupplier condition) throws InterruptedException {
    Instant deadline = Instant.now().plus(LONG);
    while (!condition.getAsBoolean()) {
      assertThat(Instant.now()).as(what).isBefore(deadline);
      Thread.sleep(20);
    }
  }

  private static String prompt(Random random) {
    return random
        .ints(PROMPT_TOKENS, 'a', 'z' + 1)
        .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
        .toString();
  }

  private static long residentKib(long pid) throws IOException {
    return Files.readAllLines(Path.of("/proc/" + pid + "/status")).stream()
        .filter(line -> line.startsWith("VmRSS:"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")))
        .sum();
  }

  /** One hand-off: handshake, read, release; in some rounds the victim dies meanwhile. */
  private static void round(Scene scene, Random random, Optional<Victim> victim, Tally tally)
      throws InterruptedException {
    Optional<HandOff> made = scene.prefill(prompt(random));
    Instant deadline = Instant.now().plus(LONG);
    while (made.isEmpty()) {
      assertThat(Instant.now()).as("the engine is back; %s", scene.lastWords()).isBefore(deadline);
      Thread.sleep(20);
      made = scene.prefill(prompt(random));
    }
    HandOff handOff = made.get();
    Future<ReadReply> reading = scene.read(handOff);
    if (victim.isPresent()) {
      Child child = scene.child(victim.get());
      long pid = child.pid();
      Thread.sleep(random.nextInt(30));
      ProcessHandle.of(pid).ifPresent(ProcessHandle::destroyForcibly);
      tally.kills++;
      await("another process", () -> child.pid() != pid);
    }
    if (succeeded(reading) && reading.result().hasDone()) {
      tally.done++;
    } else {
      tally.failed++;
    }
    // Of an engine that is no more nobody needs to release anything.
    if (victim.equals(Optional.of(Victim.ENGINE))) {
      await("the agent's copy is gone", () -> scene.release(handOff, Holder.HOLDER_AGENT));
    } else {
      await("both have let go", () -> scene.release(handOff, Holder.HOLDER_UNSPECIFIED));
    }
  }

  private static void rounds(int count, Victim victim, double flat) throws Exception {
    Random random = new Random(20261127L);
    Tally tally = new Tally();
    Victim survivor = victim == Victim.AGENT ? Victim.ENGINE : Victim.AGENT;
    Instant start = Instant.now();
    try (Scene scene = new Scene()) {
      long pid = scene.child(survivor).pid();
      long before = 0;
      for (int i = 1; i <= count; i++) {
        boolean kills = i % KILL_EVERY == 0;
        round(scene, random, kills ? Optional.of(victim) : Optional.empty(), tally);
        if (i == (int) (count * WARM)) {
          before = residentKib(pid);
        }
      }
      assertThat(scene.child(survivor).pid()).as("whoever was not killed lives").isEqualTo(pid);
      await("no block is held", () -> scene.usage() == 0);
      await(
          "the agent holds nothing",
          () -> {
            DescribeReply described = scene.describe();
            return described.getHeldBytes() == 0
                && described.getQuarantinedBytes() == 0
                && described.getHeldCopies() == 0
                && described.getOpenReads() == 0;
          });
      long after = residentKib(pid);
      System.out.printf(
          "%d rounds in %d s, %s killed %d times: %d read, %d not; %s has %d KiB after %d rounds, %d KiB after all%n",
          count,
          Duration.between(start, Instant.now()).toSeconds(),
          victim,
          tally.kills,
          tally.done,
          tally.failed,
          survivor,
          before,
          (int) (count * WARM),
          after);
      assertThat(tally.done).isGreaterThanOrEqualTo(count - tally.kills * 2);
      assertThat((double) after).isLessThan(before * (1 + flat));
    }
  }

  /** A sample; how much memory a process has is not judged so early. */
  @Test
  void agentsAreKilled_theEngineGoesOn() throws Exception {
    rounds(10, Victim.AGENT, 10);
  }

  @Test
  void enginesAreKilled_theAgentGoesOn() throws Exception {
    rounds(10, Victim.ENGINE, 10);
  }

  @Test
  @Tag("soak")
  void agentsAreKilled_theEnginesMemoryStaysFlat() throws Exception {
    rounds(500, Victim.AGENT, FLAT);
  }

  @Test
  @Tag("soak")
  void enginesAreKilled_theAgentsMemoryStaysFlat() throws Exception {
    rounds(500, Victim.ENGINE, FLAT);
  }

  @Test
  void theAgentIsKilledWhileItReads_theRouterServesOn() throws Exception {
    Random random = new Random(7);
    try (Scene scene = new Scene()) {
      AtomicBoolean over = new AtomicBoolean();
      AtomicInteger answered = new AtomicInteger();
      AtomicInteger refused = new AtomicInteger();
      Thread client =
          Thread.ofPlatform()
              .start(() -> {
                try (HttpJson http = new HttpJson()) {
                  while (!over.get()) {
                    HttpJson.Answer answer =
                        http.post(
                            scene.demo.routerUrl().resolve("/v1/chat/completions"),
                            DemoRequest.chat("Hello " + answered.get(), 4),
                            "while");
                    (answer.status() == 200 ? answered : refused).incrementAndGet();
                  }
                }
              });
      Tally tally = new Tally();
      for (int i = 0; i < 2; i++) {
        round(scene, random, Optional.of(Victim.AGENT), tally);
      }
      int until = answered.get() + 5;
      await("the router goes on", () -> answered.get() >= until);
      over.set(true);
      client.join();

      assertThat(refused.get()).isZero();
      await("no block is held", () -> scene.usage() == 0);
    }
  }
}
