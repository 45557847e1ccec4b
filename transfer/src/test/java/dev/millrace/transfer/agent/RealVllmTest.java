package dev.millrace.transfer.agent;

import static org.assertj.core.api.Assertions.assertThat;

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
import java.io.IOException;
import java.io.InputStream;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
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
                List.of(VllmEngine.PREFILL.listing(nixl.version())),
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
    String noEngine = VllmEngine.PREFILL.missing();
    if (!noEngine.isEmpty()) {
      return noEngine;
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

  /** The prefill leg of a fresh prompt. */
  private static HandOff prefill(int tokens) throws IOException {
    List<Integer> prompt = new Random().ints(tokens, 4, 2000).boxed().toList();
    return VllmEngine.handOff(VllmEngine.PREFILL.prefill(prompt));
  }

  private static double usage() throws IOException {
    return VllmEngine.PREFILL.metric("vllm:kv_cache_usage_perc");
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
      for (int i = 0; i < copy.handOff().tokens() / copy.geometry().blockSize(); i++) {
        long at = base + copy.tables().getFirst().id(i) * blockBytes;
        digest.update(
            copy.memory().asSlice(at - copy.memory().address(), blockBytes).asByteBuffer());
      }
    }
    return HexFormat.of().formatHex(digest.digest());
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
                  .ask(
                      "127.0.0.1",
                      VllmEngine.PREFILL.sideChannel(),
                      new RankId(0, 0),
                      ConnectorVersion.V14,
                      LONG)
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
        for (int i = 0; i < handOff.tokens() / metadata.blockSize(); i++) {
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
