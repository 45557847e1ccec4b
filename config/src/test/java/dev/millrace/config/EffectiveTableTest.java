package dev.millrace.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** Routing tables as they hold. */
class EffectiveTableTest {
  private static RoutingTable read(String text) {
    return RoutingTablesTest.valid(RoutingTables.parse("f", text));
  }

  @Test
  void ofATableThatHasEverything_hasEveryKeyThatItHas() {
    Object effective = EffectiveTable.of(read(Example.ROUTING_TABLE.text()));

    assertThat(Example.ROUTING_TABLE.spots())
        .allSatisfy(spot -> assertThat(has(effective, spot.path())).as("%s", spot).isTrue());
  }

  private static boolean has(@Nullable Object node, List<Object> path) {
    if (path.isEmpty()) {
      return true;
    }
    List<Object> rest = path.subList(1, path.size());
    return switch (node) {
      case Map<?, ?> map -> map.containsKey(path.getFirst()) && has(map.get(path.getFirst()), rest);
      case List<?> list -> has(list.get((Integer) path.getFirst()), rest);
      case null, default -> false;
    };
  }

  @Test
  void ofAnyTable_isReadAsTheSame() {
    Map<String, Object> effective = EffectiveTable.of(read(Example.ROUTING_TABLE.text()));

    assertThat(EffectiveTable.of(read(Example.yaml(effective)))).isEqualTo(effective);
  }

  @Test
  void whatWasLeftOut_hasItsDefault() {
    String least =
        """
        pools:
          all: {role: both, model: m, engine: vllm, workers: [{url: "http://a"}]}
        routes: [{match: {model: m}, decode: {pool: all}}]
        """;

    Map<String, Object> effective = EffectiveTable.of(read(least));

    assertThat(effective).containsOnlyKeys("listen", "admin", "pools", "routes");
    assertThat(flat("", effective))
        .containsAll(defaults(".listen", RoutingTableKeys.LISTEN))
        .containsAll(defaults(".admin", RoutingTableKeys.ADMIN))
        .containsAll(
            defaults(".pools.all", RoutingTableKeys.POOL).stream()
                .filter(each -> !each.startsWith(".pools.all.workers-dns."))
                .toList())
        .containsAll(defaults(".pools.all.workers[0]", RoutingTableKeys.WORKER))
        .containsAll(
            defaults(".routes[0]", RoutingTableKeys.ROUTE).stream()
                .filter(each -> !each.startsWith(".routes[0].prefill."))
                .toList());
  }

  /** The defaults that are described, each as {@code path=value}. */
  private static List<String> defaults(String path, List<Key> keys) {
    List<String> defaults = new ArrayList<>();
    for (Key key : keys) {
      String name = path + "." + key.name();
      if (key.absence() instanceof Absence.Default(Object value)) {
        defaults.add(name + "=" + value);
      }
      if (key.value() instanceof Value.Group group) {
        defaults.addAll(defaults(name, group.all()));
      }
    }
    return defaults;
  }

  private static List<String> flat(String path, @Nullable Object node) {
    List<String> flat = new ArrayList<>();
    switch (node) {
      case Map<?, ?> map -> map.forEach((key, value) -> flat.addAll(flat(path + "." + key, value)));
      case List<?> list -> {
        for (int i = 0; i < list.size(); i++) {
          flat.addAll(flat("%s[%d]".formatted(path, i), list.get(i)));
        }
      }
      case null, default -> flat.add(path + "=" + node);
    }
    return flat;
  }

  @Test
  void secrets_areMasked() {
    assertThat(EffectiveTable.of(read(Example.ROUTING_TABLE.text())).toString())
        .contains("redis://***@cache:6379/0", "api_token=***", "/agent.token")
        .doesNotContain("s3cret");
  }
}
