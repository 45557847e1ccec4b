package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Bypass;
import dev.millrace.config.Policy;
import dev.millrace.config.Route;
import dev.millrace.config.SessionKey;
import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Parallelism;
import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.EngineRole;
import dev.millrace.simulator.SimulatedEngine;
import io.vertx.core.json.JsonObject;
import java.net.URI;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** Policies that look at the request, before engines that keep their prompts' prefixes. */
final class AffinityTest {
  private static final int APPLICATIONS = 5;
  private static final int ROUNDS = 6;

  @RegisterExtension final Stage stage = new Stage();

  private final List<SimulatedEngine> prefill = new ArrayList<>();
  private final List<SimulatedEngine> decode = new ArrayList<>();

  /** Each engine has room for three of the applications' beginnings. */
  private SimulatedEngine engine(EngineRole role) throws Exception {
    GeometrySpec geometry =
        new GeometrySpec(
            ModelShape.dense(1, 1, 16, ElementType.BFLOAT16),
            Parallelism.tensor(1),
            16,
            Layout.HND,
            512);
    return stage.simulated(
        EngineConfig.builder().role(role).model(Stage.MODEL).geometry(geometry).build());
  }

  private void open(int prefillEngines, int decodeEngines, UnaryOperator<Route> tuned)
      throws Exception {
    for (int i = 0; i < prefillEngines; i++) {
      prefill.add(engine(EngineRole.PREFILL));
    }
    for (int i = 0; i < decodeEngines; i++) {
      decode.add(engine(EngineRole.DECODE));
    }
    stage.open(uris(prefill), uris(decode), tuned);
  }

  private static List<URI> uris(List<SimulatedEngine> engines) {
    return engines.stream().map(SimulatedEngine::uri).toList();
  }

  private static Route with(
      Route route, dev.millrace.config.Stage first, dev.millrace.config.Stage second) {
    return Route.of(Stage.MODEL, first, second).withPairing(route.pairing());
  }

  private static UnaryOperator<Route> prefillBy(Policy policy) {
    return route -> with(route, dev.millrace.config.Stage.of("p", policy), route.decode());
  }

  private JsonObject ask(String prompt, String... headers) {
    return post("\"prompt\":\"%s\"".formatted(prompt), headers);
  }

  private JsonObject streamed(String prompt) {
    return post("\"stream\":true,\"prompt\":\"%s\"".formatted(prompt));
  }

  private JsonObject post(String members, String... headers) {
    String body = "{\"model\":\"tiny\",\"max_tokens\":2,%s}".formatted(members);
    HttpResponse<String> answer = stage.post("/v1/completions", body, headers);
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    return stage.record(answer.headers().firstValue("x-request-id").orElseThrow());
  }

  private static String beginning(int application) {
    return "%c says what everybody shares; ".formatted('a' + application).repeat(80);
  }

  /** One prompt of each application after the other; where each application's went. */
  private Map<Integer, Set<String>> askInTurn() {
    Map<Integer, Set<String>> went = new HashMap<>();
    for (int round = 0; round < ROUNDS; round++) {
      for (int application = 0; application < APPLICATIONS; application++) {
        JsonObject record = ask(beginning(application) + "question " + round);
        went.computeIfAbsent(application, first -> new HashSet<>())
            .add(record.getString("prefill"));
      }
    }
    return went;
  }

  private long hits() {
    return prefill.stream().mapToLong(engine -> engine.stats().promptTokensByLocalCache()).sum();
  }

  private long computed() {
    return prefill.stream().mapToLong(engine -> engine.stats().prefillTokensComputed()).sum();
  }

  @Test
  void prefixAffinity_keepsPromptsWithTheirBeginnings_andEnginesFindThem() throws Exception {
    open(3, 1, prefillBy(Policy.PREFIX_AFFINITY));

    Map<Integer, Set<String>> went = askInTurn();

    assertThat(went.values()).allMatch(workers -> workers.size() == 1);
    assertThat(went.values().stream().flatMap(Set::stream).distinct()).hasSize(3);
    double share = (double) hits() / (hits() + computed());
    System.out.printf("prefix-affinity: %.0f %% of prompt tokens found in caches%n", 100 * share);
    assertThat(share).isGreaterThan(0.75);
    assertThat(metric("vllm:prefix_cache_hits")).isEqualTo(hits());
  }

  @Test
  void roundRobin_findsLess() throws Exception {
    open(3, 1, prefillBy(Policy.ROUND_ROBIN));

    Map<Integer, Set<String>> went = askInTurn();

    assertThat(went.values()).allMatch(workers -> workers.size() == 3);
    double share = (double) hits() / (hits() + computed());
    System.out.printf("round-robin: %.0f %% of prompt tokens found in caches%n", 100 * share);
    assertThat(share).isLessThan(0.6);
  }

  private long metric(String name) {
    return prefill.stream()
        .flatMap(engine -> stage.get(engine.uri().resolve("/metrics")).body().lines())
        .filter(line -> line.startsWith(name + "_total{") || line.startsWith(name + "{"))
        .mapToLong(line -> (long) Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)))
        .sum();
  }

  @Test
  void sessionAffinity_keepsSessionsOnTheirDecodeWorkers() throws Exception {
    open(
        1,
        4,
        route ->
            with(
                route,
                route.prefill().orElseThrow(),
                dev.millrace.config.Stage.sessionAffinity(
                    "d", new SessionKey.Header("X-Session-Id"))));
    Map<String, Set<String>> went = new HashMap<>();

    for (int i = 0; i < 24; i++) {
      String session = "session-" + i % 8;
      JsonObject record = ask("hello " + i, "x-session-id", session);
      went.computeIfAbsent(session, first -> new HashSet<>()).add(record.getString("decode"));
    }

    assertThat(went.values()).allMatch(workers -> workers.size() == 1);
    assertThat(went.values().stream().flatMap(Set::stream).distinct().count()).isGreaterThan(1);
  }

  @Test
  void bypass_sendsShortPromptsToADecodeWorkerAlone_andSaysWhy() throws Exception {
    open(1, 1, route -> route.withBypass(Bypass.below(1000)));

    JsonObject brief = ask("hello");
    JsonObject lengthy = ask("hello ".repeat(200));

    assertThat(brief.getString("prefill")).isNull();
    assertThat(brief.getString("bypass"))
        .isEqualTo("its prompt has 7 bytes, and its route hands over those from 1000 bytes on");
    assertThat(lengthy.getString("prefill")).isNotNull();
    assertThat(lengthy.getString("bypass")).isNull();
  }

  @Test
  void breakEven_onceItKnowsWhatAHandOffTakes_computesShortPromptsAlone() throws Exception {
    open(1, 1, route -> route.withBypass(Bypass.measured()));

    JsonObject last = new JsonObject();
    for (int i = 0; i < 20; i++) {
      last = streamed("hello " + i + " ".repeat(i));
    }

    JsonObject ways = last.getJsonObject("break_even");
    assertThat(ways.getDouble("alone_ms")).isPositive();
    assertThat(ways.getDouble("handed_over_ms")).isPositive();
    boolean alone = ways.getDouble("alone_ms") < ways.getDouble("handed_over_ms");
    assertThat(last.getString("bypass") != null).isEqualTo(alone);
    if (alone) {
      assertThat(last.getString("bypass")).startsWith("it is not worth a hand-off: ");
    }
  }
}
