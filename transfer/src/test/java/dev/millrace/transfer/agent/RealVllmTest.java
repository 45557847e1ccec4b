package dev.millrace.transfer.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.ElementType;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Rank;
import dev.millrace.layout.Region;
import dev.millrace.transfer.SharedSecret;
import dev.millrace.transfer.nixl.Nixl;
import dev.millrace.transfer.nixl.NixlAgentTransport;
import dev.millrace.transfer.nixl.NixlSettings;
import dev.millrace.transfer.nixl.NixlTransport;
import dev.millrace.transfer.nixl.NixlTransportOptions;
import dev.millrace.transfer.sidechannel.AgentMetadata;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
import dev.millrace.transfer.sidechannel.HandshakeCodec;
import dev.millrace.transfer.sidechannel.RankId;
import dev.millrace.transfer.sidechannel.SideChannelClient;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.io.InputStream;
import java.io.Writer;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The agent against a real vLLM prefill engine, the one that {@code load-tests/vllm/vllm.sh up}
 * starts: what it reads, keeps and releases there, by the engine's own metrics.
 */
@Tag("vllm")
class RealVllmTest {
  private static final Duration LONG = Duration.ofSeconds(30);

  /** vLLM's {@code kv_lease_duration}, with something on top for its reaper. */
  private static final Duration BEYOND_THE_LEASE = Duration.ofSeconds(37);

  private static final URI ENGINE = URI.create("http://127.0.0.1:28110");
  private static final int SIDE_CHANNEL = 28210;

  /** As {@code load-tests/vllm/tiny_model.py} makes it. */
  private static final ModelShape MODEL = ModelShape.dense(4, 4, 32, ElementType.BFLOAT16);

  private static final HttpClient HTTP =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

  @TempDir static Path folder;
  private static KvAgent agent;

  @BeforeAll
  static void start() {
    String missing = missing();
    if (!missing.isEmpty()) {
      String why = "SKIPPED RealVllmTest: " + missing;
      System.err.println(why);
      Assumptions.abort(why);
    }
    Nixl.Present nixl = (Nixl.Present) Nixl.load(NixlSettings.DEFAULT);
    agent =
        KvAgent.start(
            new AgentOptions(
                List.of(
                    new AgentOptions.SideChannel(
                        "127.0.0.1",
                        SIDE_CHANNEL,
                        "tiny",
                        MODEL,
                        ConnectorVersion.V14,
                        Optional.of(nixl.version()))),
                16 << 20,
                8 << 20,
                Duration.ofSeconds(60),
                LONG,
                LONG,
                4),
            new NixlAgentTransport(
                NixlTransport.open(
                    nixl,
                    NixlTransportOptions.named("agent", SharedSecret.random(new SecureRandom())))),
            InstantSource.system(),
            System::nanoTime);
  }

  private static String missing() {
    try {
      if (get("/health").statusCode() != 200) {
        return ENGINE + " is not healthy";
      }
    } catch (IOException e) {
      return "no engine answers at %s; load-tests/vllm/vllm.sh up starts it".formatted(ENGINE);
    }
    return Nixl.load(NixlSettings.DEFAULT) instanceof Nixl.Absent(String reason, String remedy)
        ? reason + "; " + remedy
        : "";
  }

  @AfterAll
  static void close() {
    if (agent != null) {
      agent.close();
    }
  }

  private static HttpResponse<String> get(String path) throws IOException {
    return send(HttpRequest.newBuilder(ENGINE.resolve(path)).timeout(LONG).build());
  }

  private static HttpResponse<String> send(HttpRequest request) throws IOException {
    try {
      return HTTP.send(request, HttpResponse.BodyHandlers.ofString());
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /** The prefill leg of a fresh prompt. */
  private static HandOff prefill(int tokens) throws IOException {
    JsonArray prompt = new JsonArray();
    new Random().ints(tokens, 4, 2000).forEach(prompt::add);
    JsonObject ask =
        new JsonObject()
            .put("do_remote_decode", true)
            .put("do_remote_prefill", false)
            .putNull("remote_engine_id")
            .putNull("remote_block_ids")
            .putNull("remote_host")
            .putNull("remote_port");
    JsonObject body =
        new JsonObject()
            .put("model", "tiny")
            .put("prompt", prompt)
            .put("max_tokens", 1)
            .put("kv_transfer_params", ask);
    HttpResponse<String> answer =
        send(
            HttpRequest.newBuilder(ENGINE.resolve("/v1/completions"))
                .timeout(LONG)
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(body.encode()))
                .build());
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    JsonObject params = new JsonObject(answer.body()).getJsonObject("kv_transfer_params");
    List<Integer> ids = new ArrayList<>();
    params.getJsonArray("remote_block_ids").getJsonArray(0).forEach(id -> ids.add((Integer) id));
    return new HandOff(
        new RemoteEngine(
            params.getString("remote_engine_id"),
            params.getString("remote_host"),
            params.getInteger("remote_port"),
            params.getInteger("tp_size"),
            1),
        params.getString("remote_request_id"),
        List.of(ids),
        params.getInteger("remote_num_tokens"));
  }

  private static double usage() throws IOException {
    return get("/metrics")
        .body()
        .lines()
        .filter(line -> line.startsWith("vllm:kv_cache_usage_perc"))
        .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)))
        .sum();
  }

  private static Duration untilFree(Duration most) throws Exception {
    Instant start = Instant.now();
    while (usage() > 0) {
      assertThat(Duration.between(start, Instant.now())).isLessThan(most);
      Thread.sleep(10);
    }
    return Duration.between(start, Instant.now());
  }

  @Test
  void read_getsTheBytesThatNixlsOwnPackageGets_andReleaseFreesThem() throws Exception {
    double before = usage();
    HandOff handOff = prefill(500);
    double held = usage();
    CompletableFuture<ReadEvent> last = new CompletableFuture<>();
    var _ =
        agent.read(
            new ReadOrder(handOff, ReadOrder::asSource, 0, LONG, ReadOrder.AfterRead.KEEP),
            event -> {
              if (event instanceof ReadEvent.Done || event instanceof ReadEvent.Failed) {
                last.complete(event);
              }
            });
    ReadEvent end = last.orTimeout(40, TimeUnit.SECONDS).join();
    assertThat(end).as("%s", end).isInstanceOf(ReadEvent.Done.class);
    ReadEvent.Done done = (ReadEvent.Done) end;
    HeldCopy copy = agent.copy(done.copyId()).orElseThrow();

    assertThat(sha256(copy)).isEqualTo(sha256ByPython(handOff));

    assertThat(usage()).isEqualTo(held);
    KvAgent.Released _ =
        agent.release(handOff, Set.of(KvAgent.Holder.values()), Optional.empty()).join();
    Duration free = untilFree(Duration.ofSeconds(1));
    System.out.printf(
        "read %d bytes in %d runs and %d ms; usage %.4f before, %.4f held, 0 again %d ms after the release%n",
        done.bytes(), done.runs(), done.took().toMillis(), before, held, free.toMillis());
  }

  /** Whole blocks, all regions; what lies behind the last token is not the engine's to compare. */
  private static String sha256(HeldCopy copy) throws Exception {
    MessageDigest digest = MessageDigest.getInstance("SHA-256");
    Rank rank = copy.geometry().rank(0, 0);
    long blockBytes = rank.regions().getFirst().getFirst().blockStrideBytes();
    for (long base : bases(rank)) {
      for (int i = 0; i < wholeBlocks(copy.handOff()); i++) {
        long at = base + copy.tables().getFirst().id(i) * blockBytes;
        digest.update(
            copy.memory().asSlice(at - copy.memory().address(), blockBytes).asByteBuffer());
      }
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  private static int wholeBlocks(HandOff handOff) {
    return handOff.tokens() / 32;
  }

  /** Of the tensors; K and V are regions of one. */
  private static Set<Long> bases(Rank rank) {
    List<Region> regions = rank.regions().getFirst();
    long blockBytes = regions.getFirst().blockStrideBytes();
    Set<Long> bases = new TreeSet<>();
    for (Region region : regions) {
      if (bases.stream().noneMatch(base -> Math.abs(region.baseAddress() - base) < blockBytes)) {
        bases.add(region.baseAddress());
      }
    }
    return bases;
  }

  private static String sha256ByPython(HandOff handOff) throws Exception {
    AgentMetadata metadata;
    try (SideChannelClient client = new SideChannelClient()) {
      metadata =
          HandshakeCodec.decodeMetadata(
              client
                  .ask("127.0.0.1", SIDE_CHANNEL, new RankId(0, 0), ConnectorVersion.V14, LONG)
                  .join()
                  .metadata(),
              ConnectorVersion.V14);
    }
    Path script = folder.resolve("read_once.py");
    try (InputStream resource =
        Objects.requireNonNull(RealVllmTest.class.getResourceAsStream("read_once.py"))) {
      Files.copy(resource, script, StandardCopyOption.REPLACE_EXISTING);
    }
    String python = Objects.requireNonNullElse(System.getenv("MILLRACE_NIXL_PYTHON"), "no python");
    Process process =
        new ProcessBuilder(
                python,
                script.toString(),
                HexFormat.of().formatHex(metadata.agentMetadata().bytes()))
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    try (Writer pieces = process.outputWriter()) {
      List<Long> bases = metadata.kvCachesBaseAddr().stream().sorted().toList();
      long length = metadata.blockLens().getFirst();
      for (long base : bases) {
        for (int i = 0; i < wholeBlocks(handOff); i++) {
          long id = handOff.blockIds().getFirst().get(i);
          pieces.write("%d %d%n".formatted(base + id * length, length));
        }
      }
    }
    String digest =
        process
            .inputReader()
            .lines()
            .filter(line -> line.startsWith("SHA256 "))
            .map(line -> line.split(" ", -1)[1])
            .findFirst()
            .orElse("nothing");
    assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
    return digest;
  }

  @Test
  void extend_keepsTheBlocksBeyondTheLease() throws Exception {
    HandOff handOff = prefill(100);
    double held = usage();
    assertThat(held).isPositive();
    Instant start = Instant.now();
    while (Duration.between(start, Instant.now()).compareTo(BEYOND_THE_LEASE) < 0) {
      assertThat(agent.extend(handOff, Set.of(KvAgent.Holder.ENGINE)).join().ranks()).isEqualTo(1);
      Thread.sleep(5000);
      assertThat(usage()).isEqualTo(held);
    }
    Duration kept = Duration.between(start, Instant.now());
    KvAgent.Released _ =
        agent.release(handOff, Set.of(KvAgent.Holder.ENGINE), Optional.empty()).join();
    Duration free = untilFree(Duration.ofSeconds(1));
    System.out.printf(
        "usage %.4f for %d s by heartbeats, 0 again %d ms after the release%n",
        held, kept.toSeconds(), free.toMillis());
  }
}
