package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code millrace check} against engines that run, and against tables that only declare. */
class CheckCommandTest {
  private static final Pattern READY =
      Pattern.compile(" at (http://[^ ,]+), side channel ([^ ,]+:\\d+)");

  /** What no probe learns of a model, and what its shape says. */
  private static final String SHAPE =
      "layers: %d, kv-heads: %d, head-size: 32, dtype: bf16, hidden-layers: 4";

  private static final String HYBRID = "--layers=2 --state=mamba2:8:4:4:8 --state-layers=4 ";

  @TempDir private Path folder = Path.of("");
  private final List<BackgroundCommand> started = new ArrayList<>();

  @AfterEach
  void stop() throws Exception {
    for (BackgroundCommand each : started) {
      each.close();
    }
  }

  /** An engine that keeps vLLM's rules: its URL and its side channel. */
  private Matcher engine(String role, String flags) throws Exception {
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "simulate",
                "--role=" + role,
                "--port=0",
                "--side-channel-port=0",
                "--pairing=VLLM"));
    if (!flags.isBlank()) {
      arguments.addAll(List.of(flags.strip().split(" +")));
    }
    BackgroundCommand engine = BackgroundCommand.start(arguments.toArray(String[]::new));
    started.add(engine);
    Matcher ready = READY.matcher(engine.awaitOutput("side channel "));
    assertThat(ready.find()).isTrue();
    return ready;
  }

  @Test
  void poolWithoutWorkers_isAsBadAsOneThatCannotBeReached() throws Exception {
    Path table =
        Files.writeString(
            folder.resolve("names.yaml"),
            """
            pools:
              all: {role: both, model: m, engine: vllm, workers-dns: {name: no.such, port: 1, server: "127.0.0.1:1"}}
            routes: [{match: {model: m}, decode: {pool: all}}]
            """);

    CommandLineRun text = CommandLineRun.of("check", "-c", table.toString());
    CommandLineRun json = CommandLineRun.of("check", "--json", "-c", table.toString());

    assertThat(text.exitCode()).isEqualTo(ExitCode.UNREACHABLE);
    assertThat(text.out()).contains("pool all has no worker");
    assertThat(json.exitCode()).isEqualTo(ExitCode.UNREACHABLE);
    assertThat(json.out()).contains("\"pools_without_workers\" : [ \"all\" ]");
  }

  private static String pool(String name, String role, Matcher engine, String declared) {
    return "  %s: {role: %s, model: tiny, engine: vllm, %sworkers: [{url: \"%s\", side-channel: \"%s\"}]}\n"
        .formatted(
            name,
            role,
            declared.isBlank() ? "" : declared + ", ",
            engine.group(1),
            engine.group(2));
  }

  private Path table(String pools, String transfer) throws IOException {
    return Files.writeString(
        folder.resolve("routes.yaml"),
        "pools:\n"
            + pools
            + "routes:\n"
            + "  - {match: {model: tiny}, prefill: {pool: p}, decode: {pool: d}, transfer: "
            + transfer
            + "}\n");
  }

  private JsonObject pair(
      String prefillFlags, String decodeFlags, String onPrefill, String onDecode) throws Exception {
    Matcher prefill = engine("prefill", prefillFlags);
    Matcher decode = engine("decode", decodeFlags);
    Path file =
        table(
            pool("p", "prefill", prefill, onPrefill) + pool("d", "decode", decode, onDecode),
            "engine");
    CommandLineRun run = CommandLineRun.of("check", "-c", file.toString(), "--json");
    JsonObject answer = new JsonObject(run.out());
    for (Object worker : answer.getJsonArray("workers")) {
      assertThat(((JsonObject) worker).getString("trouble")).as(run.out()).isNull();
    }
    JsonObject pair = answer.getJsonArray("pairs").getJsonObject(0);
    assertThat(run.exitCode())
        .as(run.out())
        .isEqualTo(pair.getBoolean("usable") ? ExitCode.DONE : ExitCode.NOT_SO);
    return pair;
  }

  private static String declared(String model) {
    return switch (model) {
      case "dense" -> "model-config: {" + SHAPE.formatted(4, 4) + "}";
      case "fp8" ->
          "model-config: {layers: 4, kv-heads: 4, head-size: 32, dtype: fp8_e4m3, torch-dtype: bfloat16, hidden-layers: 4}";
      case "six heads" -> "model-config: {" + SHAPE.formatted(4, 6) + "}";
      case "two heads" -> "model-config: {" + SHAPE.formatted(4, 2) + "}";
      case "encoder-decoder" ->
          "model-config: {" + SHAPE.formatted(4, 4) + ", architecture: encoder-decoder}";
      case "latent" -> "model-config: {layers: 4, latent: 64, dtype: bf16, hidden-layers: 4}";
      case "window" -> "model-config: {" + SHAPE.formatted(4, 4) + ", window: 64}";
      case "hybrid" -> "model-config: {hidden-layers: 6, architecture: hybrid}";
      default -> throw new IllegalArgumentException(model);
    };
  }

  private static String flags(String model, String flags) {
    return switch (model) {
      case "fp8" -> "--cache-dtype=fp8 " + flags;
      case "six heads" -> "--kv-heads=6 " + flags;
      case "two heads" -> "--kv-heads=2 " + flags;
      case "latent" -> "--mla --head-size=64 " + flags;
      case "window" -> "--window=64 " + flags;
      case "hybrid" -> HYBRID + flags;
      default -> flags;
    };
  }

  private static String with(String declared, @Nullable String more) {
    return more == null ? declared : declared + ", " + more;
  }

  private JsonObject judged(
      String model,
      String prefill,
      String decode,
      @Nullable String onPrefill,
      @Nullable String onDecode)
      throws Exception {
    String of = model.substring(model.indexOf('/') + 1);
    String on = model.equals(of) ? of : model.substring(0, model.indexOf('/'));
    return pair(
        flags(on, prefill),
        flags(of, decode),
        with(declared(on), onPrefill),
        with(declared(of), onDecode));
  }

  @ParameterizedTest(name = "{0}")
  @CsvSource(
      delimiter = '|',
      nullValues = "-",
      textBlock =
          """
          block 128 against 64 | dense | --block-size=128 | --block-size=64 | - | - | block-size
          kernel block of P larger than that of D | hybrid | --block-size=64 | --block-size=32 | - | - | block-size
          TP 3 against 2 | six heads | --tp=3 | --tp=2 | - | - | tensor-parallel
          P TP above the number of KV heads | two heads | --tp=4 | --tp=2 | - | - | replicated-heads
          NHD with unequal TP | dense | --tp=2 --layout=nhd | --tp=4 --layout=nhd | - | - | heads-not-contiguous
          fp8 against auto | fp8/dense | --tp=1 | --tp=1 | - | - | cache-dtype
          another attention backend | dense | --tp=1 | --attention-backend=FLASHINFER | - | - | attention-backend
          push against pull | dense | --transfer-mode=push | --tp=1 | transfer-mode: push | transfer-mode: pull | transfer-mode
          another vLLM version | dense | --connector-version=13 | --connector-version=14 | - | - | vllm-version
          hybrid with unequal TP | hybrid | --connector-version=2 --attention-backend=FLASHINFER --no-disable-hybrid-kv-cache-manager --tp=2 | --connector-version=2 --attention-backend=FLASHINFER --no-disable-hybrid-kv-cache-manager | - | - | hybrid-tensor-parallel
          MultiConnector on one side | dense | --connector-version=4 --kv-transfer-config={"kv_connector":"MultiConnector","kv_connector_extra_config":{"connectors":[{"kv_connector":"DynamoConnector"},{"kv_connector":"NixlConnector","kv_connector_extra_config":{"enable_cross_layers_blocks":"True"}}]}} | --connector-version=4 --layout=cross-layer | - | - | cross-layer-blocks
          encoder-decoder | encoder-decoder | --tp=1 | --tp=1 | - | - | architecture
          """)
  void check_twelveThatDoNotFit_namesTheReasonFirst(
      String name,
      String model,
      String prefill,
      String decode,
      @Nullable String onPrefill,
      @Nullable String onDecode,
      String rule)
      throws Exception {
    JsonObject pair = judged(model, prefill, decode, onPrefill, onDecode);

    assertThat(pair.getBoolean("usable")).as(pair.encodePrettily()).isFalse();
    assertThat(pair.getJsonArray("why").getJsonObject(0).getString("rule"))
        .as(pair.encodePrettily())
        .isEqualTo(rule);
  }

  @ParameterizedTest(name = "{0}")
  @CsvSource(
      delimiter = '|',
      nullValues = "-",
      textBlock =
          """
          two of a kind | dense | --tp=1 | --tp=1 | - | -
          TP 1 to 2 | dense | --tp=1 | --tp=2 | - | -
          TP 4 to 2 | dense | --tp=4 | --tp=2 | - | -
          TP 2 to 4 with two KV heads | two heads | --tp=2 | --tp=4 | - | -
          block 16 to 64 without D's prefix cache | dense | --block-size=16 | --block-size=64 --no-enable-prefix-caching | - | -
          MLA, TP 4 to 1 | latent | --tp=4 | --tp=1 | - | -
          MLA, TP 1 to 4 | latent | --tp=1 | --tp=4 | - | -
          cross-layer blocks on both sides | dense | --connector-version=4 --layout=cross-layer | --connector-version=4 --layout=cross-layer | - | -
          hybrid with unequal TP | hybrid | --tp=2 | --tp=1 | - | -
          the same draft model | dense | --speculative=eagle3:org/draft | --speculative=eagle3:org/draft | - | -
          fp8 on both sides | fp8 | --tp=1 | --tp=1 | kv-scales: static | kv-scales: static
          HND into NHD by permuting | dense | --tp=1 | --layout=nhd | - | kv-transfer-config: {kv_connector: NixlConnector, enable_permute_local_kv: true}
          """)
  void check_twelveThatFit_areAccepted(
      String name,
      String model,
      String prefill,
      String decode,
      @Nullable String onPrefill,
      @Nullable String onDecode)
      throws Exception {
    JsonObject pair = judged(model, prefill, decode, onPrefill, onDecode);

    assertThat(pair.getBoolean("usable")).as(pair.encodePrettily()).isTrue();
  }

  @Test
  void check_ofAPairThatVllmRefuses_foretellsItsWords() throws Exception {
    JsonObject pair = judged("dense", "--block-size=128", "--block-size=64", null, null);

    assertThat(pair.getString("connector"))
        .isEqualTo("Local block size 64 is not divisible by remote block size 128 or vice versa.");
  }

  @Test
  void check_ofAPairThatVllmTakesAndGetsWrong_foretellsNoRefusal() throws Exception {
    JsonObject pair =
        judged("dense", "--layout=cpu --block-size=32", "--layout=cpu --block-size=64", null, null);

    assertThat(pair.getBoolean("usable")).isFalse();
    assertThat(pair.getString("connector")).isNull();
  }

  private static final String SEED =
      """
      pools:
        p:
          role: prefill
          model: tiny
          engine: vllm
          vllm-version: 0.19.0
          geometry: tp=1,block=16,layout=hnd
          model-config: {name: org/model, layers: 4, kv-heads: 4, head-size: 32, dtype: bf16, hidden-layers: 4}
          attention-backend: FLASH_ATTN
          kv-transfer-config:
            kv_connector: PdConnector
            kv_role: kv_both
            kv_connector_module_path: kvbm.vllm_integration.connector
            kv_connector_extra_config:
              connectors:
                - {kv_connector: DynamoConnector, kv_role: kv_both, kv_connector_module_path: kvbm.vllm_integration.connector}
                - {kv_connector: NixlConnector, kv_role: kv_both, kv_connector_extra_config: {enable_cross_layers_blocks: true}}
          workers: [{url: "http://prefill:8000", side-channel: "prefill:5600"}]
        d:
          role: decode
          model: tiny
          engine: vllm
          vllm-version: 0.19.0
          geometry: tp=1,block=16,layout=hnd
          model-config: {name: org/model, layers: 4, kv-heads: 4, head-size: 32, dtype: bf16, hidden-layers: 4}
          attention-backend: FLASH_ATTN
          kv-transfer-config:
            kv_connector: NixlConnector
            kv_role: kv_both
            kv_connector_extra_config: {enable_cross_layers_blocks: true}
          workers: [{url: "http://decode:8000", side-channel: "decode:5600"}]
      routes:
        - {match: {model: tiny}, prefill: {pool: p}, decode: {pool: d}, transfer: %s}
      """;

  /** A MultiConnector on one side only: the pair that fails at the first request with vLLM 0.19. */
  @Test
  void declared_aChildThatKeepsLayersApart_isNamedWithBothRemedies() throws IOException {
    Path file = Files.writeString(folder.resolve("routes.yaml"), SEED.formatted("engine"));

    CommandLineRun run = CommandLineRun.of("check", "--declared", "-c", file.toString());

    assertThat(run.exitCode()).isEqualTo(ExitCode.NOT_SO);
    assertThat(run.out())
        .contains("prefill:8000 → decode:8000: no")
        .contains("engine, cross-layer-blocks")
        .contains("DynamoConnector")
        .contains("enable_cross_layers_blocks");
  }

  @Test
  void declared_withTransferAuto_theSamePairFitsByRelay() throws IOException {
    Files.writeString(folder.resolve("agent.token"), "0123456789abcdef");
    Path file =
        Files.writeString(
            folder.resolve("routes.yaml"),
            SEED.formatted("auto")
                + "agents: [{url: \"http://127.0.0.1:7400\", token-file: agent.token}]\n");

    CommandLineRun run =
        CommandLineRun.of("check", "--declared", "-c", file.toString()).assertDone();

    assertThat(run.out()).contains("prefill:8000 → decode:8000: relay*");
  }

  @Test
  void aWorkerThatIsNotThere_isSaidWithinSeconds() throws Exception {
    Matcher prefill = engine("prefill", "");
    Path file;
    try (ServerSocket silent = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      file =
          table(
              pool("p", "prefill", prefill, declared("dense"))
                  + "  d: {role: decode, model: tiny, engine: vllm, workers: [{url: \"http://127.0.0.1:%d\"}]}\n"
                      .formatted(silent.getLocalPort()),
              "engine");
      CommandLineRun run = CommandLineRun.of("check", "-c", file.toString());

      assertThat(run.exitCode()).as(run.toString()).isEqualTo(ExitCode.UNREACHABLE);
      assertThat(run.out()).contains("127.0.0.1:" + silent.getLocalPort() + " does not answer");
    }
  }

  @Test
  void whatIsDeclaredAndNotSo_isAContradiction() throws Exception {
    JsonObject pair = judged("dense", "--tp=2", "--tp=2", "geometry: tp=4", null);

    assertThat(pair.getBoolean("usable")).isFalse();
    assertThat(pair.getJsonArray("why").encode())
        .contains("contradiction")
        .contains("tensor-parallel");
  }
}
