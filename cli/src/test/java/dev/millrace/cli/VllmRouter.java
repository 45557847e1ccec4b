package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.cli.VllmEngines.Address;
import dev.millrace.transfer.nixl.Nixl;
import dev.millrace.transfer.nixl.NixlSettings;
import io.vertx.core.json.JsonObject;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** {@code millrace serve} before a real pair, perhaps with {@code millrace agent} beside it. */
final class VllmRouter implements AutoCloseable {
  private static final Pattern ADDRESS = Pattern.compile("(http://127\\.0\\.0\\.1:\\d+)");
  private static final Duration LONGEST_JUDGING = Duration.ofSeconds(90);

  /**
   * A pair and what is declared of it.
   *
   * @param shape as routing tables and agents' configurations take it
   * @param engine what pools call their engines
   */
  record Pair(Address prefill, Address decode, String shape, String engine) {
    /** Two engines that are declared to be what they are. */
    Pair(Address prefill, Address decode, String shape) {
      this(prefill, decode, shape, "vllm");
    }

    /** The same, declared to be engines that read blocks of any size and know how. */
    Pair praised() {
      return new Pair(prefill, decode, shape, "millrace-sim");
    }

    /** The same two engines the other way round: vLLM does not enforce roles. */
    Pair turned() {
      return new Pair(/* prefill= */ decode, /* decode= */ prefill, shape, engine);
    }

    /** A routing table for it, with free ports. */
    Path table(Path folder, String route, @Nullable String agent) throws Exception {
      String pool =
          "  %s: {role: %s, model: tiny, engine: %s, model-config: {%s, hidden-layers: 4, revision: seed-1, rope: default}, workers: [{url: \"%s\", side-channel: \"%s\"}]}\n";
      return Files.writeString(
          Files.createTempFile(folder, "routes", ".yaml"),
          "listen: {port: 0}\nadmin: {port: 0}\n"
              + (agent == null
                  ? ""
                  : "agents: [{url: \"%s\", token-file: agent.token}]\n".formatted(agent))
              + "pools:\n"
              + pool.formatted("p", "prefill", engine, shape, prefill.url(), prefill.sideChannel())
              + pool.formatted("d", "decode", engine, shape, decode.url(), decode.sideChannel())
              + "routes:\n  - {match: {model: tiny}, prefill: {pool: p}, decode: {pool: d}, "
              + route
              + "}\n");
    }

    /** What {@code millrace check} says. */
    JsonObject checked(Path folder, String route) throws Exception {
      CommandLineRun run =
          CommandLineRun.of("check", "-c", table(folder, route, null).toString(), "--json");
      assertThat(run.exitCode()).as(run.toString()).isIn(ExitCode.DONE, ExitCode.NOT_SO);
      return new JsonObject(run.out());
    }
  }

  private final List<BackgroundCommand> commands = new ArrayList<>();
  private final HttpJson http = new HttpJson();
  private @Nullable URI url;
  private @Nullable URI admin;

  private VllmRouter() {}

  /** Without an agent. */
  static VllmRouter serve(Path folder, Pair pair, String route) throws Exception {
    VllmRouter router = new VllmRouter();
    router.serve(pair.table(folder, route, null));
    return router;
  }

  /** With an agent that may bridge and relay between the two. */
  static VllmRouter withAgent(Path folder, Pair pair, String route) throws Exception {
    VllmRouter router = new VllmRouter();
    String agent = router.agent(folder, pair);
    router.serve(pair.table(folder, route, agent));
    return router;
  }

  private void serve(Path table) throws Exception {
    String said = start("admin on ", "serve", "-c", table.toString());
    Matcher addresses = ADDRESS.matcher(said);
    assertThat(addresses.find()).as(said).isTrue();
    url = URI.create(addresses.group(1));
    assertThat(addresses.find()).as(said).isTrue();
    admin = URI.create(addresses.group(1));
  }

  private String agent(Path folder, Pair pair) throws Exception {
    String nixl =
        switch (Nixl.load(NixlSettings.DEFAULT)) {
          case Nixl.Present present -> present.version();
          case Nixl.Absent(String reason, String remedy) ->
              throw new AssertionError(reason + "; " + remedy);
        };
    Files.writeString(folder.resolve("agent.token"), "0123456789abcdef");
    StringBuilder yaml =
        new StringBuilder(
            """
            listen: {port: 0}
            token-file: agent.token
            transport: nixl
            memory: {budget: 96MiB, slab: 8MiB, serving: 32MiB}
            models: {tiny: {%s}}
            side-channel: {listen: {ports: 0}, readers: [127.0.0.1]}
            side-channels:
            """
                .formatted(pair.shape()));
    for (Address each : List.of(pair.prefill(), pair.decode())) {
      yaml.append(
          "  - {address: \"%s\", model: tiny, connector-version: 14, nixl-version: %s}\n"
              .formatted(each.sideChannel(), nixl));
    }
    Path file = Files.writeString(folder.resolve("agent.yaml"), yaml);
    return start("agent at ", "agent", "-c", file.toString())
        .replaceAll("(?s).*agent at ([^ ,]+),.*", "http://$1");
  }

  private String start(String awaited, String... arguments) throws Exception {
    BackgroundCommand command = BackgroundCommand.start(arguments);
    commands.add(command);
    return command.awaitOutput(awaited);
  }

  URI url() {
    return Objects.requireNonNull(url);
  }

  JsonObject page(String path) {
    return http.get(Objects.requireNonNull(admin).resolve(path)).body();
  }

  /** The pair once it was judged and tried out. */
  JsonObject edge() throws InterruptedException {
    return edge("pending");
  }

  /** The pair once it is in another state than that one. */
  JsonObject edge(String state) throws InterruptedException {
    Instant limit = Instant.now().plus(LONGEST_JUDGING);
    while (true) {
      JsonObject edge =
          page("/pd/matrix")
              .getJsonArray("routes")
              .getJsonObject(0)
              .getJsonArray("edges")
              .getJsonObject(0);
      if (!edge.getString("state").equals(state) || Instant.now().isAfter(limit)) {
        return edge;
      }
      Thread.sleep(50);
    }
  }

  /** Until the pair is used: engines that have just started may answer a first question late. */
  JsonObject untilUsable() throws InterruptedException {
    Instant limit = Instant.now().plus(LONGEST_JUDGING);
    JsonObject edge = edge();
    while (!edge.getString("state").equals("usable")) {
      assertThat(Instant.now()).as(edge.encode()).isBefore(limit);
      Thread.sleep(50);
      edge = edge();
    }
    return edge;
  }

  VllmAnswer ask(String path, JsonObject body, String id) throws Exception {
    return VllmAnswer.ask(VllmAnswer.request(url(), path, body, id));
  }

  @Override
  public void close() throws Exception {
    http.close();
    for (BackgroundCommand each : commands.reversed()) {
      each.close();
    }
  }
}
