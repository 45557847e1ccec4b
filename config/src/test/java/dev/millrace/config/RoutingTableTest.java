package dev.millrace.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.URI;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

class RoutingTableTest {
  private static final Pool PREFILL = pool("p", Role.PREFILL, "llama", 8101);
  private static final Pool DECODE = pool("d", Role.DECODE, "llama", 8102);
  private static final Route ROUTE =
      Route.of("llama", Stage.roundRobin("p"), Stage.leastActive("d"));

  @Test
  void routeFor_knownModel_findsItsPools() {
    RoutingTable table = table(List.of(PREFILL, DECODE), List.of(ROUTE));

    Route found = table.routeFor("llama").orElseThrow();

    assertThat(table.pool(found.prefill().orElseThrow())).isEqualTo(PREFILL);
    assertThat(table.pool(found.decode())).isEqualTo(DECODE);
    assertThat(table.routeFor("qwen")).isEmpty();
  }

  @Test
  void pools_keepTheirOrder() {
    Pool other = pool("a", Role.PREFILL, "llama", 8103);

    RoutingTable table = table(List.of(PREFILL, DECODE, other), List.of(ROUTE));

    assertThat(table.pools().keySet()).containsExactly("p", "d", "a");
  }

  @Test
  void construction_danglingPool_isRefused() {
    assertRefused(List.of(PREFILL), List.of(ROUTE), "\"d\" is not a decode pool of that model");
  }

  @Test
  void construction_poolOfTheOtherRole_isRefused() {
    Route swapped = Route.of("llama", Stage.roundRobin("d"), Stage.roundRobin("p"));

    assertRefused(
        List.of(PREFILL, DECODE), List.of(swapped), "\"d\" is not a prefill pool of that model");
  }

  @Test
  void construction_poolOfAnotherModel_isRefused() {
    Pool qwen = pool("d", Role.DECODE, "qwen", 8102);

    assertRefused(
        List.of(PREFILL, qwen), List.of(ROUTE), "\"d\" is not a decode pool of that model");
  }

  @Test
  void construction_modelRoutedTwice_isRefused() {
    assertRefused(
        List.of(PREFILL, DECODE), List.of(ROUTE, ROUTE), "two routes match model \"llama\"");
  }

  @Test
  void construction_twoRoutesOfOneName_isRefused() {
    Route other = ROUTE.withMatch(Match.model("llama").withPaths("/v1/completions"));

    assertRefused(
        List.of(PREFILL, DECODE), List.of(ROUTE, other), "two routes are called \"llama\"");
  }

  @Test
  void construction_poolsOfDifferentModelsThatAPatternMeans_isRefused() {
    Pool other = pool("d", Role.DECODE, "llama-2", 8102);

    assertRefused(
        List.of(PREFILL, other),
        List.of(ROUTE.withMatch(Match.model("llama*"))),
        "its pools serve different models");
  }

  @Test
  void construction_fallbacksWithoutAnEnd_areRefused() {
    assertRefused(
        List.of(PREFILL, DECODE),
        List.of(ROUTE.withFallback("llama")),
        "do not lead to an end: [llama, llama]");
    assertRefused(
        List.of(PREFILL, DECODE),
        List.of(ROUTE.withFallback("other")),
        "do not lead to an end: [llama, other]");
  }

  @Test
  void workerAddress_isCanonical() {
    assertThat(WorkerAddress.of(URI.create("HTTP://Host.Local:81/")).url())
        .isEqualTo(URI.create("http://host.local:81"));
    assertThat(WorkerAddress.of(URI.create("https://host")).port()).isEqualTo(443);
    assertThat(WorkerAddress.of(URI.create("http://[::1]:8000")).port()).isEqualTo(8000);
  }

  @Test
  void deadlines_zero_isRefused() {
    Duration second = Duration.ofSeconds(1);

    assertThatThrownBy(() -> new Deadlines(second, Duration.ZERO, second, second))
        .hasMessageContaining("first-token is PT0S");
  }

  private static void assertRefused(List<Pool> pools, List<Route> routes, String why) {
    assertThatThrownBy(() -> table(pools, routes))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining(why);
  }

  private static RoutingTable table(List<Pool> pools, List<Route> routes) {
    return RoutingTable.of(Listen.defaults(), Admin.defaults(), pools, routes);
  }

  private static Pool pool(String name, Role role, String model, int port) {
    URI url = URI.create("http://127.0.0.1:" + port);
    return Pool.of(name, role, model, EngineKind.MILLRACE_SIM, List.of(WorkerAddress.of(url)));
  }
}
