package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Engines that keep vLLM's rules and do not fit, behind a router and an agent: {@code transfer:
 * engine} refuses the pair, {@code auto} finds the way, and the answers are those of one engine
 * that does both. A prompt that goes on from an earlier one meets a prefix cache on the decode
 * engine.
 */
class PairingTest {
  private static final Pattern ENGINE =
      Pattern.compile(" at (http://[^ ,]+), side channel ([^ ,]+:\\d+)(?:, NIXL (\\S+))?");
  private static final Pattern ROUTER = Pattern.compile("(http://127\\.0\\.0\\.1:\\d+)");
  private static final int[] LENGTHS = {1, 15, 33, 64, 150};
  private static final Duration LONG = Duration.ofSeconds(30);

  @TempDir private Path folder = Path.of("");
  private final List<BackgroundCommand> started = new ArrayList<>();

  @AfterEach
  void stop() throws Exception {
    for (BackgroundCommand each : started.reversed()) {
      each.close();
    }
  }

  private String start(String awaited, List<String> arguments) throws Exception {
    BackgroundCommand command = BackgroundCommand.start(arguments.toArray(String[]::new));
    started.add(command);
    return command.awaitOutput(awaited);
  }

  private Matcher engine(String role, String flags) throws Exception {
    List<String> arguments =
        new ArrayList<>(List.of("simulate", "--role=" + role, "--port=0", "--side-channel-port=0"));
    arguments.addAll(List.of(flags.strip().split(" +")));
    Matcher ready = ENGINE.matcher(start("side channel ", arguments));
    assertThat(ready.find()).isTrue();
    return ready;
  }

  /**
   * Shapes by name: the flags of an engine, what a routing table declares, what an agent is told.
   */
  enum Model {
    DENSE(
        "--layers=3 --kv-heads=4 --head-size=16",
        "layers: 3, kv-heads: 4, head-size: 16, dtype: bf16, hidden-layers: 3",
        "layers: 3, kv-heads: 4, head-size: 16, dtype: bf16"),
    WINDOW(
        "--layers=4 --kv-heads=4 --head-size=16 --window=40",
        "layers: 4, kv-heads: 4, head-size: 16, dtype: bf16, window: 40, hidden-layers: 4",
        "layers: 4, kv-heads: 4, head-size: 16, dtype: bf16, window: 40"),
    LATENT(
        "--layers=3 --mla --head-size=32",
        "layers: 3, latent: 32, dtype: bf16, hidden-layers: 3",
        "layers: 3, latent: 32, dtype: bf16");

    final String flags;
    final String declared;
    final String shape;

    Model(String flags, String declared, String shape) {
      this.flags = flags;
      this.declared = declared;
      this.shape = shape;
    }
  }

  private record Scene(Matcher prefill, Matcher decode, Matcher whole, Path agent, int version) {}

  private Scene scene(Model model, String transport, int version, String prefill, String decode)
      throws Exception {
    String common =
        "%s --transport=%s --pairing=VLLM --connector-version=%d "
            .formatted(model.flags, transport, version);
    Matcher p = engine("prefill", common + prefill);
    Matcher d = engine("decode", common + decode);
    Matcher whole = engine("both", model.flags);
    Files.writeString(folder.resolve("agent.token"), "0123456789abcdef");
    Files.writeString(folder.resolve("transport.secret"), "millrace-simulator");
    StringBuilder yaml =
        new StringBuilder(
            """
            listen: {port: 0}
            token-file: agent.token
            secret-file: transport.secret
            transport: %s
            memory: {budget: 64MiB, slab: 4MiB, serving: 16MiB}
            models: {tiny: {%s}}
            side-channel: {listen: {ports: 0}, readers: [127.0.0.1]}
            side-channels:
            """
                .formatted(transport.toLowerCase(Locale.ROOT), model.shape));
    for (Matcher engine : List.of(p, d)) {
      yaml.append(
          "  - {address: \"%s\", model: tiny, connector-version: %d%s}\n"
              .formatted(
                  engine.group(2),
                  version,
                  engine.group(3) == null ? "" : ", nixl-version: " + engine.group(3)));
    }
    return new Scene(p, d, whole, Files.writeString(folder.resolve("agent.yaml"), yaml), version);
  }

  private Path table(Scene scene, Model model, String transfer, String agentUrl)
      throws IOException {
    String pool =
        "  %s: {role: %s, model: tiny, engine: vllm, model-config: {name: tiny, %s}, workers: [{url: \"%s\", side-channel: \"%s\"}]}\n";
    return Files.writeString(
        folder.resolve("routes-" + transfer + ".yaml"),
        "listen: {port: 0}\nadmin: {port: 0}\nagents: [{url: \"%s\", token-file: agent.token}]\npools:\n"
                .formatted(agentUrl)
            + pool.formatted(
                "p", "prefill", model.declared, scene.prefill().group(1), scene.prefill().group(2))
            + pool.formatted(
                "d", "decode", model.declared, scene.decode().group(1), scene.decode().group(2))
            + "routes:\n  - {match: {model: tiny}, prefill: {pool: p}, decode: {pool: d}, transfer: "
            + transfer
            + "}\n");
  }

  private static JsonObject body(String prompt) {
    return new JsonObject()
        .put("model", "tiny")
        .put("prompt", prompt)
        .put("max_tokens", 16)
        .put("temperature", 0);
  }

  private static String text(HttpJson.Answer answer) {
    assertThat(answer.status()).as(answer.body().encode()).isEqualTo(200);
    return answer.body().getJsonArray("choices").getJsonObject(0).getString("text");
  }

  private void prove(
      String way, String transport, int version, Model model, String prefill, String decode)
      throws Exception {
    Scene scene = scene(model, transport, version, prefill, decode);
    String agent = start("agent at ", List.of("agent", "-c", scene.agent().toString()));
    String agentUrl = agent.replaceAll("(?s).*agent at ([^ ,]+),.*", "http://$1");

    CommandLineRun direct =
        CommandLineRun.of(
            "check", "-c", table(scene, model, "engine", agentUrl).toString(), "--json");
    JsonArray why =
        new JsonObject(direct.out()).getJsonArray("pairs").getJsonObject(0).getJsonArray("why");
    assertThat(direct.exitCode()).as(direct.out()).isEqualTo(ExitCode.NOT_SO);

    String serve =
        start("admin", List.of("serve", "-c", table(scene, model, "auto", agentUrl).toString()));
    Matcher addresses = ROUTER.matcher(serve);
    assertThat(addresses.find()).as(serve).isTrue();
    URI router = URI.create(addresses.group(1));
    assertThat(addresses.find()).as(serve).isTrue();
    URI admin = URI.create(addresses.group(1));
    try (HttpJson http = new HttpJson()) {
      JsonObject edge = edge(http, admin);
      assertThat(edge.getString("state")).as(edge.encode()).isEqualTo("usable");
      assertThat(edge.getString("way")).as(edge.encode()).isEqualTo(way);
      int equal = 0;
      for (int length : LENGTHS) {
        String prompt = Character.toString('a' + length % 26).repeat(length);
        // The second one has the first one as its prefix.
        for (String asked : List.of(prompt, prompt + "and so on, for another block or two")) {
          String expected =
              text(
                  http.post(
                      URI.create(scene.whole().group(1) + "/v1/completions"),
                      body(asked),
                      "whole"));
          assertThat(text(http.post(router.resolve("/v1/completions"), body(asked), "pair")))
              .as("%d tokens", asked.length())
              .isEqualTo(expected);
          equal++;
        }
      }
      JsonObject carriage =
          new JsonObject(http.text(admin.resolve("/pd/requests/pair"))).getJsonObject("carriage");
      System.out.printf(
          "| %s %d | %s | %s | %s | %s | %s: %s | %d of %d |%n",
          transport,
          version,
          model,
          shortened(prefill),
          shortened(decode),
          why.getJsonObject(0).getString("rule"),
          way,
          carriage.getString("way"),
          equal,
          2 * LENGTHS.length);
      awaitNothingHeld(http, scene, admin);
    }
  }

  private static String shortened(String flags) {
    return flags.length() <= 60 ? flags : flags.substring(0, 59) + "…";
  }

  private static JsonObject edge(HttpJson http, URI admin) throws InterruptedException {
    Instant limit = Instant.now().plus(LONG);
    while (true) {
      JsonObject edge =
          http.get(admin.resolve("/pd/matrix"))
              .body()
              .getJsonArray("routes")
              .getJsonObject(0)
              .getJsonArray("edges")
              .getJsonObject(0);
      if (!edge.getString("state").equals("pending") || Instant.now().isAfter(limit)) {
        return edge;
      }
      Thread.sleep(20);
    }
  }

  private static void awaitNothingHeld(HttpJson http, Scene scene, URI admin)
      throws InterruptedException {
    Instant limit = Instant.now().plus(LONG);
    while (true) {
      double usage =
          http.text(URI.create(scene.prefill().group(1) + "/metrics"))
              .lines()
              .filter(line -> line.startsWith("vllm:kv_cache_usage_perc"))
              .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)))
              .sum();
      JsonObject agent =
          http.get(admin.resolve("/pd/agents")).body().getJsonArray("agents").getJsonObject(0);
      if (usage == 0 && agent.getInteger("held_copies", 0) == 0) {
        return;
      }
      assertThat(Instant.now())
          .as("P's usage %s, the agent %s", usage, agent.encode())
          .isBefore(limit);
      Thread.sleep(50);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          relay  | 14 | DENSE  | --block-size=64 | --block-size=32
          relay  | 14 | DENSE  | --block-size=32 | --block-size=48
          relay  | 14 | DENSE  | --block-size=48 | --block-size=32
          relay  | 14 | DENSE  | --layout=hnd | --layout=nhd
          relay  | 14 | DENSE  | --layout=nhd | --layout=hnd
          relay  | 14 | DENSE  | --layout=nhd --tp=2 | --layout=nhd --tp=4
          relay  | 14 | DENSE  | --block-size=64 --tp=1 | --block-size=32 --tp=2
          relay  | 14 | DENSE  | --block-size=32 --tp=2 | --block-size=64 --tp=1
          relay  | 14 | DENSE  | --block-size=64 --tp=4 --layout=nhd | --block-size=16 --tp=2
          relay  | 14 | DENSE  | --layout=hnd | --layout=cross-layer
          relay  | 14 | DENSE  | --layout=cross-layer | --layout=hnd
          relay  | 14 | DENSE  | --layout=cross-layer --tp=2 | --layout=nhd --tp=1
          relay  | 2  | DENSE  | --layout=hnd | --layout=cross-layer
          relay  | 2  | DENSE  | --kv-transfer-config={"kv_connector":"PdConnector","kv_role":"kv_both","kv_connector_module_path":"kvbm.vllm_integration.connector","kv_connector_extra_config":{"connectors":[{"kv_connector":"DynamoConnector","kv_role":"kv_both","kv_connector_module_path":"kvbm.vllm_integration.connector"},{"kv_connector":"NixlConnector","kv_role":"kv_both","kv_connector_extra_config":{"enable_cross_layers_blocks":true}}]}} | --kv-transfer-config={"kv_connector":"NixlConnector","kv_role":"kv_both","kv_connector_extra_config":{"enable_cross_layers_blocks":true}}
          relay  | 4  | DENSE  | --layout=cross-layer | --layout=hnd
          relay  | 14 | WINDOW | --block-size=32 | --block-size=16 --tp=2
          relay  | 14 | WINDOW | --layout=nhd | --layout=hnd --tp=2
          bridge | 14 | LATENT | --block-size=64 | --block-size=16 --tp=2
          relay  | 14 | LATENT | --block-size=48 | --block-size=32
          relay  | 14 | DENSE  | --block-size=16 --tp=1 | --block-size=64 --tp=4 --layout=nhd
          relay  | 14 | WINDOW | --block-size=48 --tp=4 | --block-size=32
          bridge | 14 | DENSE  | --layout=cross-layer-lhn | --layout=hnd
          bridge | 14 | DENSE  | --layout=cross-layer-lnh | --layout=nhd
          bridge | 14 | DENSE  | --layout=nhd --block-size=64 | --layout=nhd --block-size=32
          """)
  void overTcp(String way, int version, Model model, String prefill, String decode)
      throws Exception {
    prove(way, "TCP", version, model, prefill, decode);
  }

  @ParameterizedTest
  @ExtendWith(NixlDemoTest.WhereInstalled.class)
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          relay  | 14 | DENSE  | --block-size=64 --tp=1 | --block-size=32 --tp=2
          relay  | 14 | DENSE  | --block-size=32 --tp=2 | --block-size=64 --tp=1 --layout=nhd
          bridge | 14 | DENSE  | --layout=cross-layer-lhn | --layout=hnd
          """)
  void overNixl(String way, int version, Model model, String prefill, String decode)
      throws Exception {
    prove(way, "NIXL", version, model, prefill, decode);
  }
}
