package dev.millrace.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;
import static org.assertj.core.api.Assertions.tuple;

import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RoutingTablesTest {
  private static final Path EXAMPLE = Path.of("src/test/resources/routes.yaml");

  @TempDir Path folder;

  @Test
  void read_example_givesItsValues() {
    RoutingTable table = valid(RoutingTables.read(EXAMPLE));

    assertThat(table.listen())
        .isEqualTo(
            new Listen(
                "0.0.0.0",
                8080,
                32L << 20,
                4,
                Duration.ofSeconds(25),
                Optional.empty(),
                Optional.empty(),
                Optional.empty()));
    assertThat(table.admin()).isEqualTo(Admin.defaults());
    assertThat(table.pools().keySet()).containsExactly("llama-p", "llama-d", "sim-p", "sim-d");
    Route route = table.routeFor("llama").orElseThrow();
    assertThat(route.prefill()).contains(Stage.leastActive("llama-p"));
    assertThat(route.retries()).isEqualTo(new Retries(3, 0, 10));
    assertThat(route.pairing())
        .isEqualTo(
            new Pairing(
                Transfer.AUTO,
                Verify.PROBE,
                CanaryRule.ALWAYS,
                OnMismatch.RECOMPUTE,
                OnRecompute.FAIL));
    assertThat(table.agents())
        .containsExactly(
            new AgentAddress(
                URI.create("http://127.0.0.1:7400"), EXAMPLE.resolveSibling("agent.token")));
    assertThat(route.deadlines())
        .isEqualTo(
            new Deadlines(
                Duration.ofSeconds(30),
                Duration.ofSeconds(45),
                Duration.ofMillis(500),
                Duration.ofMinutes(15)));
    List<WorkerAddress> workers = table.pool(route.decode()).workers();
    assertThat(workers)
        .extracting(WorkerAddress::url)
        .containsExactly(
            URI.create("http://10.0.0.4:8000"),
            URI.create("https://decode-1.example.net"),
            URI.create("http://[fd00::4]:8000"));
    assertThat(workers.getLast().sideChannel()).contains(new HostPort("fd00::4", 5600));
  }

  @Test
  void read_whatIsLeftOut_hasTheDefaults() {
    RoutingTable table = valid(RoutingTables.read(EXAMPLE));

    assertThat(table.routeFor("sim"))
        .contains(Route.of("sim", Stage.roundRobin("sim-p"), Stage.roundRobin("sim-d")));
  }

  @Test
  void parse_whatPoliciesLookAt_isTheStages() {
    String text =
        """
        pools:
          p: {role: prefill, model: m, engine: vllm, workers: [{url: "http://a", labels: {zone: a, rack: 7}}]}
          d: {role: decode, model: m, engine: vllm, workers: [{url: "http://b", labels: {zone: a}}]}
        routes:
          - match: {model: m}
            prefill: {pool: p, policy: prefix-affinity, balance-percent: 150}
            decode: {pool: d, policy: session-affinity, session: {field: user}, prefer-same: zone}
            bypass: {prompt-bytes-below: 2KiB}
        """;

    RoutingTable table = valid(RoutingTables.parse("routes.yaml", text));

    Route route = table.routes().getFirst();
    assertThat(route.prefill())
        .contains(new Stage("p", Policy.PREFIX_AFFINITY, Optional.empty(), Optional.empty(), 150));
    assertThat(route.decode())
        .isEqualTo(
            Stage.sessionAffinity("d", new SessionKey.BodyField("user")).withPreferSame("zone"));
    assertThat(route.bypass()).isEqualTo(Bypass.below(2048));
    assertThat(table.pool(route.prefill().orElseThrow()).workers().getFirst().labels())
        .isEqualTo(Map.of("zone", "a", "rack", "7"));
  }

  @Test
  void parse_match_isTheRoutes() {
    String text =
        """
        pools:
          d: {role: both, model: m-1, engine: vllm, workers: [{url: "http://b"}]}
        routes:
          - {match: {model: "m-*"}, decode: {pool: d}}
          - name: acme
            match: {model: m-1, paths: [/v1/responses, /tokenize], headers: {X-Tenant: Acme, x-a: 1}}
            decode: {pool: d}
        """;

    List<Route> routes = valid(RoutingTables.parse("routes.yaml", text)).routes();

    assertThat(routes)
        .extracting(Route::name, Route::match)
        .containsExactly(
            tuple("m-*", Match.model("m-*")),
            tuple(
                "acme",
                Match.model("m-1")
                    .withPaths("/v1/responses", "/tokenize")
                    .withHeader("x-tenant", "Acme")
                    .withHeader("x-a", "1")));
  }

  @Test
  void parse_dataParallelSize_isTheNumberOfEnginesBehindTheAddress() {
    String text =
        """
        pools:
          p: {role: prefill, model: m, engine: vllm, workers: [{url: "http://a:1", data-parallel-size: 3}]}
          d: {role: decode, model: m, engine: vllm, workers: [{url: "http://b:1"}]}
        routes: [{match: {model: m}, prefill: {pool: p}, decode: {pool: d}}]
        """;

    assertThat(valid(RoutingTables.parse("routes.yaml", text)).pools().values())
        .flatExtracting(Pool::workers)
        .extracting(WorkerAddress::dataParallel)
        .containsExactly(3, 1);
  }

  @Test
  void read_noFile_saysSo() {
    assertThat(lines(RoutingTables.read(Path.of("no/such.yaml"))))
        .containsExactly(
            "no/such.yaml:1:1: there is no such file; looked for "
                + Path.of("no/such.yaml").toAbsolutePath());
  }

  @Test
  void read_folder_isRefused() {
    assertThat(lines(RoutingTables.read(folder))).singleElement().asString().contains("cannot be");
  }

  @Test
  void read_notUtf8_pointsAtTheByte() throws IOException {
    Path file = folder.resolve("latin1.yaml");
    Files.write(file, "listen: {port: 1}\n# caf\u00e9\n".getBytes(StandardCharsets.ISO_8859_1));

    assertThat(lines(RoutingTables.read(file)))
        .containsExactly(file + ":2:6: is not UTF-8 from here on; save it as UTF-8");
  }

  @Test
  void read_hugeFile_isRefused() throws IOException {
    Path file = folder.resolve("huge.yaml");
    Files.writeString(file, "# comment\n".repeat(200_000));

    assertThat(lines(RoutingTables.read(file)))
        .containsExactly(file + ":1:1: is larger than 1 MiB, which no configuration is");
  }

  @Test
  void parse_byteOrderMark_isIgnored() throws IOException {
    valid(RoutingTables.parse("routes.yaml", "\uFEFF" + Files.readString(EXAMPLE)));
  }

  @Test
  void parse_manyMistakes_reportsAllInOrder() {
    String text =
        """
        listen: {prot: 8080, max-body: 16MB}
        pools:
          llama-p:
            role: prefil
            model: llama
            engine: vllm
            workers: [{url: "http://a:1"}]
          llama-d:
            role: decode
            model: llama
            engine: vllm
            workers:
              - url: http://b:1
              - url: htp://10.0.0.4:8000
        routes:
          - match: {model: llama}
            prefill: {pool: llama-p}
            decode: {pool: llama}
        """;

    assertThat(lines(RoutingTables.parse("routes.yaml", text)))
        .containsExactly(
            "routes.yaml:1:10: listen.prot: is not a known key; did you mean \"port\"?",
            "routes.yaml:1:32: listen.max-body: \"16MB\" is not a size; write a whole number and B, KiB,"
                + " MiB or GiB, such as 16MiB",
            "routes.yaml:4:11: pools.llama-p.role: \"prefil\" is not prefill, decode or both; did you mean"
                + " \"prefill\"?",
            "routes.yaml:14:14: pools.llama-d.workers[1].url: \"htp://10.0.0.4:8000\" is not an http(s)"
                + " URL such as http://10.0.0.4:8000",
            "routes.yaml:18:20: routes[0].decode.pool: there is no pool \"llama\"; known: llama-d,"
                + " llama-p; did you mean \"llama-p\"?");
  }

  @Test
  void parse_thousandsOfMistakes_reportsTheFirstHundred() {
    Loaded loaded =
        RoutingTables.parse("routes.yaml", "x%d: 1\n".repeat(5_000).formatted(counted(5_000)));

    assertThat(lines(loaded))
        .hasSize(101)
        .last()
        .asString()
        .endsWith("more complaints are left out");
  }

  private static Object[] counted(int count) {
    Object[] numbers = new Object[count];
    for (int i = 0; i < count; i++) {
      numbers[i] = i;
    }
    return numbers;
  }

  static RoutingTable valid(Loaded loaded) {
    return switch (loaded) {
      case Loaded.Valid(RoutingTable table) -> table;
      case Loaded.Invalid(List<Complaint> complaints) -> fail("complaints: " + complaints);
    };
  }

  static List<String> lines(Loaded loaded) {
    return switch (loaded) {
      case Loaded.Valid(RoutingTable table) -> fail("is valid: " + table);
      case Loaded.Invalid(List<Complaint> complaints) ->
          complaints.stream().map(Complaint::toString).toList();
    };
  }
}
