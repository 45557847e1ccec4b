package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.ElementType;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Rank;
import dev.millrace.layout.Region;
import dev.millrace.transfer.SharedSecret;
import dev.millrace.transfer.agent.AgentOptions;
import dev.millrace.transfer.agent.HandOff;
import dev.millrace.transfer.agent.HeldCopy;
import dev.millrace.transfer.agent.KvAgent;
import dev.millrace.transfer.agent.ReadEvent;
import dev.millrace.transfer.agent.ReadOrder;
import dev.millrace.transfer.agent.RemoteEngine;
import dev.millrace.transfer.nixl.Nixl;
import dev.millrace.transfer.nixl.NixlAgentTransport;
import dev.millrace.transfer.nixl.NixlTransport;
import dev.millrace.transfer.nixl.NixlTransportOptions;
import dev.millrace.transfer.sidechannel.AgentMetadata;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
import dev.millrace.transfer.sidechannel.HandshakeCodec;
import dev.millrace.transfer.sidechannel.RankId;
import dev.millrace.transfer.sidechannel.SideChannelClient;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.io.InputStream;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.time.Duration;
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
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The agent as a library, against real vLLM engines: what it reads from a prefill engine is what
 * the decode engine has received, and what NIXL's own package reads; and it lets the blocks go.
 */
@Tag("vllm")
class RealVllmAgentTest {
  private static final Duration LONG = Duration.ofSeconds(30);
  private static final int TOKENS = 500;
  private static final int BLOCK = 32;

  @TempDir static Path folder;
  private static VllmEngines engines;
  private static KvAgent agent;

  @BeforeAll
  static void start() throws Exception {
    Nixl.Present nixl = VllmEngines.assumeSetUpWithNixl(RealVllmAgentTest.class);
    engines = VllmEngines.up("--aggregated", "no");
    agent =
        KvAgent.start(
            new AgentOptions(
                List.of(
                    sideChannel(engines.prefill(), nixl.version()),
                    sideChannel(engines.decode(), nixl.version())),
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

  @AfterAll
  static void stop() throws Exception {
    if (agent != null) {
      agent.close();
    }
    if (engines != null) {
      engines.close();
    }
  }

  private static AgentOptions.SideChannel sideChannel(
      VllmEngines.Address engine, String nixlVersion) {
    return new AgentOptions.SideChannel(
        "127.0.0.1",
        engine.sideChannelPort(),
        VllmEngines.MODEL,
        ModelShape.dense(4, 4, 32, ElementType.BFLOAT16),
        ConnectorVersion.V14,
        Optional.of(nixlVersion));
  }

  private static HandOff handOff(JsonObject params) {
    List<List<Integer>> groups = new ArrayList<>();
    for (Object group : params.getJsonArray("remote_block_ids")) {
      groups.add(((JsonArray) group).stream().map(Integer.class::cast).toList());
    }
    return new HandOff(
        new RemoteEngine(
            params.getString("remote_engine_id"),
            params.getString("remote_host"),
            params.getInteger("remote_port"),
            params.getInteger("tp_size"),
            1),
        params.getString("remote_request_id"),
        groups,
        params.getInteger("remote_num_tokens"));
  }

  private static HeldCopy read(HandOff handOff) {
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
    return agent.copy(((ReadEvent.Done) end).copyId()).orElseThrow();
  }

  /** Full blocks, tensor by tensor; behind the last token there is nothing to compare. */
  private static String sha256(HeldCopy copy) throws Exception {
    MessageDigest digest = MessageDigest.getInstance("SHA-256");
    Rank rank = copy.geometry().rank(0, 0);
    long blockBytes = rank.regions().getFirst().getFirst().blockStrideBytes();
    for (long base : bases(rank)) {
      for (int i = 0; i < TOKENS / BLOCK; i++) {
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
                      engines.prefill().sideChannelPort(),
                      new RankId(0, 0),
                      ConnectorVersion.V14,
                      LONG)
                  .join()
                  .metadata(),
              ConnectorVersion.V14);
    }
    Path script = folder.resolve("read_once.py");
    try (InputStream resource =
        Objects.requireNonNull(RealVllmAgentTest.class.getResourceAsStream("read_once.py"))) {
      Files.copy(resource, script);
    }
    Process process =
        new ProcessBuilder(
                VllmEngines.python().toString(),
                script.toString(),
                HexFormat.of().formatHex(metadata.agentMetadata().bytes()))
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    try (Writer pieces = process.outputWriter()) {
      List<Long> bases = metadata.kvCachesBaseAddr().stream().sorted().toList();
      long length = metadata.blockLens().getFirst();
      for (long base : bases) {
        for (int i = 0; i < TOKENS / BLOCK; i++) {
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
  void blocksOfAPrefillEngine_areWhatTheDecodeEngineReceives_andGoWhenReleased() throws Exception {
    JsonObject body = VllmAnswer.completion(VllmAnswer.prompt(new Random(), TOKENS), 4);
    JsonObject params = engines.handOff(engines.prefill(), body);
    HandOff prefill = handOff(params);
    HeldCopy ofPrefill = read(prefill);
    String read = sha256(ofPrefill);
    assertThat(read).isEqualTo(sha256ByPython(prefill));

    long before = engines.bytesRead(engines.decode(), 0);
    VllmAnswer answer =
        VllmAnswer.ask(
            engines.decode().url(),
            "/v1/completions",
            body.copy().put("kv_transfer_params", params));
    assertThat(answer.status()).as(answer.text()).isEqualTo(200);
    long received = engines.bytesRead(engines.decode(), before + 1) - before;
    // The decode engine keeps what it received for prompts that begin so. Asked to hand over the
    // same prompt, it computes the last block only and names those that it has.
    JsonObject kept = engines.handOff(engines.decode(), body);
    assertThat(kept.getInteger("remote_prefill_cached_tokens")).isEqualTo(TOKENS / BLOCK * BLOCK);
    HandOff decode = handOff(kept);
    HeldCopy ofDecode = read(decode);

    assertThat(sha256(ofDecode)).isEqualTo(read);
    assertThat(received).isEqualTo(65536L * Math.ceilDiv(TOKENS, BLOCK));

    Duration prefillFree = engines.untilFree(engines.prefill(), Duration.ofSeconds(1));
    assertThat(engines.metric(engines.decode(), "vllm:kv_cache_usage_perc")).isPositive();
    KvAgent.Released _ =
        agent.release(decode, Set.of(KvAgent.Holder.values()), Optional.empty()).join();
    Duration free = engines.untilFree(engines.decode(), Duration.ofSeconds(1));
    KvAgent.Released _ =
        agent.release(prefill, Set.of(KvAgent.Holder.AGENT), Optional.empty()).join();
    assertThat(agent.holdings().copies()).isZero();
    System.out.printf(
        "%d blocks, SHA-256 %s… read from P by the agent, by NIXL's package, and from D; D received %d bytes; P free %d ms after D's read, D %d ms after the agent's release%n",
        TOKENS / BLOCK, read.substring(0, 12), received, prefillFree.toMillis(), free.toMillis());
  }
}
