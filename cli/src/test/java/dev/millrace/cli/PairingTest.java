package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import dev.millrace.simulator.VllmRelease;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.slf4j.LoggerFactory;

/**
 * Engines that keep vLLM's rules and do not fit, behind a router and an agent: with {@code
 * transfer: engine} the decode engine's connector refuses the pair or answers wrong, {@code auto}
 * finds the way, and the answers are those of one engine that does both. A prompt that goes on from
 * an earlier one meets a prefix cache on the decode engine. By default some of {@link
 * UnequalPair}'s rows, all of them over both transports with {@code mvn verify -Pgrid}.
 */
class PairingTest {
  private static final Pattern ENGINE =
      Pattern.compile(" at (http://[^ ,]+), side channel ([^ ,]+:\\d+)(?:, NIXL (\\S+))?");
  private static final Pattern ROUTER = Pattern.compile("(http://127\\.0\\.0\\.1:\\d+)");
  private static final Pattern NOT_LOADED = Pattern.compile("(?s).* cannot be loaded: (.*)");
  private static final Pattern HASH = Pattern.compile("\\b([0-9a-f]{8})[0-9a-f]{56}\\b");
  private static final int[] LENGTHS = {1, 15, 33, 64, 100, 150};

  /** Fewer, from which no prefix of the others is left on the decode engine. */
  private static final int[] DIRECT_LENGTHS = {33, 100, 150};

  private static final Duration LONG = Duration.ofSeconds(30);
  private static final PairingTable TABLE = new PairingTable();

  @TempDir private Path folder = Path.of("");
  private final List<BackgroundCommand> started = new ArrayList<>();

  @AfterEach
  void stop() throws Exception {
    for (BackgroundCommand each : started.reversed()) {
      each.close();
    }
  }

  @AfterAll
  static void print() {
    System.out.println(TABLE);
  }

  private BackgroundCommand start(List<String> arguments) {
    BackgroundCommand command = BackgroundCommand.start(arguments.toArray(String[]::new));
    started.add(command);
    return command;
  }

  private Matcher engine(String role, String flags) throws Exception {
    List<String> arguments =
        new ArrayList<>(List.of("simulate", "--role=" + role, "--port=0", "--side-channel-port=0"));
    arguments.addAll(UnequalPair.arguments(flags));
    Matcher ready = ENGINE.matcher(start(arguments).awaitOutput("side channel "));
    assertThat(ready.find()).isTrue();
    return ready;
  }

  private record Scene(UnequalPair pair, Matcher prefill, Matcher decode, URI whole) {}

  private Scene scene(UnequalPair pair, TransportChoice transport) throws Exception {
    String common =
        pair.model().flags + " --transport=" + transport + " --pairing=VLLM --connector-version=";
    return new Scene(
        pair,
        engine("prefill", common + pair.versions().prefill() + " " + pair.prefill()),
        engine("decode", common + pair.versions().decode() + " " + pair.decode()),
        URI.create(engine("both", pair.model().flags).group(1)));
  }

  /** Starts an agent that may stand between the two, and returns its URL. */
  private String agent(Scene scene, TransportChoice transport) throws Exception {
    Files.writeString(folder.resolve("agent.token"), "0123456789abcdef");
    Files.writeString(folder.resolve("transport.secret"), "millrace-simulator");
    String yaml =
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
                .formatted(transport.name().toLowerCase(Locale.ROOT), scene.pair().model().shape)
            + channel(scene.prefill(), scene.pair().versions().prefill())
            + channel(scene.decode(), scene.pair().versions().decode());
    Path file = Files.writeString(folder.resolve("agent.yaml"), yaml);
    return start(List.of("agent", "-c", file.toString()))
        .awaitOutput("agent at ")
        .replaceAll("(?s).*agent at ([^ ,]+),.*", "http://$1");
  }

  private static String channel(Matcher engine, int version) {
    return "  - {address: \"%s\", model: tiny, connector-version: %d%s}\n"
        .formatted(
            engine.group(2),
            version,
            engine.group(3) == null ? "" : ", nixl-version: " + engine.group(3));
  }

  private Path table(Scene scene, String agentUrl, String route) throws IOException {
    return Files.writeString(
        folder.resolve("routes.yaml"),
        """
        listen: {port: 0}
        admin: {port: 0}
        agents: [{url: "%s", token-file: agent.token}]
        pools:
        %s%sroutes:
          - {match: {model: tiny}, prefill: {pool: p}, decode: {pool: d}, %s}
        """
            .formatted(
                agentUrl,
                pool("p", "prefill", scene.pair(), scene.prefill()),
                pool("d", "decode", scene.pair(), scene.decode()),
                route));
  }

  private static String pool(String name, String role, UnequalPair pair, Matcher engine) {
    return "  %s: {role: %s, model: tiny, engine: vllm, interchangeable-versions: [%s, %s], model-config: {name: tiny, %s}, workers: [{url: \"%s\", side-channel: \"%s\"}]}\n"
        .formatted(
            name,
            role,
            release(pair.versions().prefill()),
            release(pair.versions().decode()),
            pair.model().declared,
            engine.group(1),
            engine.group(2));
  }

  private static String release(int connector) {
    return new VllmRelease(ConnectorVersion.of(connector)).version();
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

  private static HttpJson.Answer ask(HttpJson http, URI server, String prompt, String requestId) {
    return http.post(server.resolve("/v1/completions"), body(prompt), requestId);
  }

  /** Prompts of these lengths, each followed by one that it is the prefix of. */
  private static List<String> prompts(char first, int... lengths) {
    List<String> prompts = new ArrayList<>();
    for (int length : lengths) {
      String prompt = Character.toString(first + length % 26).repeat(length);
      prompts.add(prompt);
      prompts.add(prompt + "and so on, for another block or two");
    }
    return prompts;
  }

  private record Router(BackgroundCommand command, URI url, URI admin) {}

  private Router serve(Path table) throws Exception {
    BackgroundCommand command = start(List.of("serve", "-c", table.toString()));
    String said = command.awaitOutput("admin");
    Matcher addresses = ROUTER.matcher(said);
    assertThat(addresses.find()).as(said).isTrue();
    URI url = URI.create(addresses.group(1));
    assertThat(addresses.find()).as(said).isTrue();
    return new Router(command, url, URI.create(addresses.group(1)));
  }

  /**
   * Sends requests with {@code transfer: engine}, as if the pair had been vouched for, and returns
   * what the decode engine's connector said, or how many answers were wrong. None of it is right.
   */
  private String direct(HttpJson http, Scene scene, String agentUrl) throws Exception {
    CommandLineRun check =
        CommandLineRun.of(
            "check", "-c", table(scene, agentUrl, "transfer: engine").toString(), "--json");
    assertThat(check.exitCode()).as(check.out()).isEqualTo(ExitCode.NOT_SO);
    String rule =
        new JsonObject(check.out())
            .getJsonArray("pairs")
            .getJsonObject(0)
            .getJsonArray("why")
            .getJsonObject(0)
            .getString("rule");

    ListAppender<ILoggingEvent> heard = new ListAppender<>();
    heard.start();
    Logger connector = (Logger) LoggerFactory.getLogger("dev.millrace.simulator.connector");
    connector.setLevel(Level.INFO);
    connector.setAdditive(false);
    connector.addAppender(heard);
    int refused = 0;
    int wrong = 0;
    List<String> prompts = prompts('A', DIRECT_LENGTHS);
    Router router =
        serve(
            table(
                scene,
                agentUrl,
                "transfer: engine, verify: trust, canary: off, retries: {prefill: 0, decode: 0}"));
    awaitAgent(http, router.admin());
    for (String prompt : prompts) {
      HttpJson.Answer answer = ask(http, router.url(), prompt, "direct");
      if (answer.status() != 200) {
        refused++;
      } else if (!text(answer).equals(text(ask(http, scene.whole(), prompt, "whole")))) {
        wrong++;
      }
    }
    // Blocks that nobody has read are freed after the answers: while the router runs.
    awaitNothingHeld(http, scene, router.admin());
    started.remove(router.command());
    router.command().close();
    connector.detachAppender(heard);
    assertThat(refused + wrong).as("what vLLM's connector does not do right").isPositive();
    if (refused == 0) {
      return "%s: takes it, %d of %d answers wrong".formatted(rule, wrong, prompts.size());
    }
    assertThat(refused).isEqualTo(prompts.size());
    Set<String> said = new TreeSet<>();
    for (ILoggingEvent event : List.copyOf(heard.list)) {
      Matcher message = NOT_LOADED.matcher(event.getFormattedMessage());
      if (message.matches()) {
        said.add(HASH.matcher(message.group(1)).replaceAll("$1…"));
      }
    }
    assertThat(said).hasSize(1);
    return rule + ": " + said.iterator().next();
  }

  private void prove(UnequalPair pair, TransportChoice transport) throws Exception {
    Scene scene = scene(pair, transport);
    String agentUrl = agent(scene, transport);
    try (HttpJson http = new HttpJson()) {
      String direct = direct(http, scene, agentUrl);

      Router router = serve(table(scene, agentUrl, "transfer: auto"));
      JsonObject edge = edge(http, router.admin());
      assertThat(edge.getString("state")).as(edge.encode()).isEqualTo("usable");
      assertThat(edge.getString("way")).as(edge.encode()).isEqualTo(pair.way());
      int equal = 0;
      List<String> prompts = prompts('a', LENGTHS);
      for (String prompt : prompts) {
        String expected = text(ask(http, scene.whole(), prompt, "whole"));
        assertThat(text(ask(http, router.url(), prompt, "pair")))
            .as("%d tokens", prompt.length())
            .isEqualTo(expected);
        equal++;
      }
      JsonObject carriage =
          new JsonObject(http.text(router.admin().resolve("/pd/requests/pair")))
              .getJsonObject("carriage");
      if (pair.way().equals("bridge")) {
        assertThat(carriage.getLong("agent_bytes")).as(carriage.encode()).isZero();
      } else {
        assertThat(carriage.getLong("agent_bytes")).as(carriage.encode()).isPositive();
      }
      TABLE.put(
          pair,
          transport,
          new PairingTable.Outcome(
              direct, carriage.getString("way"), "%d of %d".formatted(equal, prompts.size())));
      awaitNothingHeld(http, scene, router.admin());
    }
  }

  /** The pair, once it is usable or refused; one that has broken is tried again. */
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
      if (Set.of("usable", "refused").contains(edge.getString("state"))
          || Instant.now().isAfter(limit)) {
        return edge;
      }
      Thread.sleep(20);
    }
  }

  private static JsonObject agent(HttpJson http, URI admin) {
    return http.get(admin.resolve("/pd/agents")).body().getJsonArray("agents").getJsonObject(0);
  }

  private static void awaitAgent(HttpJson http, URI admin) throws InterruptedException {
    Instant limit = Instant.now().plus(LONG);
    while (!agent(http, admin).getString("state").equals("up")) {
      assertThat(Instant.now()).as(agent(http, admin).encode()).isBefore(limit);
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
      JsonObject agent = agent(http, admin);
      if (usage == 0 && agent.getInteger("held_copies", 0) == 0) {
        return;
      }
      assertThat(Instant.now())
          .as("P's usage %s, the agent %s", usage, agent.encode())
          .isBefore(limit);
      Thread.sleep(50);
    }
  }

  static Stream<UnequalPair> everyPair() {
    return UnequalPair.all().stream();
  }

  static Stream<UnequalPair> someOverTcp() {
    return kept(EnumSet.of(UnequalPair.Kept.OVER_TCP, UnequalPair.Kept.OVER_BOTH));
  }

  static Stream<UnequalPair> someOverBoth() {
    return kept(EnumSet.of(UnequalPair.Kept.OVER_BOTH));
  }

  private static Stream<UnequalPair> kept(Set<UnequalPair.Kept> where) {
    return everyPair().filter(pair -> where.contains(pair.kept()));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("someOverTcp")
  void overTcp(UnequalPair pair) throws Exception {
    prove(pair, TransportChoice.TCP);
  }

  @ParameterizedTest(name = "{0}")
  @ExtendWith(NixlDemoTest.WhereInstalled.class)
  @MethodSource("someOverBoth")
  void overNixl(UnequalPair pair) throws Exception {
    prove(pair, TransportChoice.NIXL);
  }

  @Tag("grid")
  @ParameterizedTest(name = "{0}")
  @MethodSource("everyPair")
  void everyPair_overTcp(UnequalPair pair) throws Exception {
    prove(pair, TransportChoice.TCP);
  }

  @Tag("grid")
  @ParameterizedTest(name = "{0}")
  @ExtendWith(NixlDemoTest.WhereInstalled.class)
  @MethodSource("everyPair")
  void everyPair_overNixl(UnequalPair pair) throws Exception {
    prove(pair, TransportChoice.NIXL);
  }
}
