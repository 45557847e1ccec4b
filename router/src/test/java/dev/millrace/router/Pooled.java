package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Complaint;
import dev.millrace.config.Loaded;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.RoutingTables;
import java.net.http.HttpResponse;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;

/** A router before pools of one scripted engine each, which are called like their models. */
final class Pooled {
  private final Stage stage;
  private final Map<String, ScriptedEngine> engines = new LinkedHashMap<>();
  private String pools = "";

  Pooled(Stage stage) {
    this.stage = stage;
  }

  /** Pools of engines that answer. */
  Pooled with(String... models) {
    for (String model : models) {
      with(model, model, Scripts.decode());
    }
    return this;
  }

  /** A pool of an engine that does something else. */
  Pooled with(String name, String model, ScriptedEngine.Script script) {
    return pool(name, "role: both, model: " + model, stage.engine(script));
  }

  /** A pool of which something is said. */
  Pooled pool(String name, String said, ScriptedEngine engine) {
    engines.put(name, engine);
    pools +=
        "  %s: {%s, engine: millrace-sim, workers: [{url: \"%s\"}]}\n"
            .formatted(name, said, engine.url());
    return this;
  }

  /** Opens a router with these routes, the insides of mappings. */
  void open(String... routes) throws Exception {
    RoutingTable table = table(routes);
    stage.open(table, () -> new Loaded.Valid(table));
  }

  /** The table with these routes. */
  RoutingTable table(String... routes) {
    StringBuilder text =
        new StringBuilder("listen: {port: 0, event-loops: 1}\nadmin: {port: 0}\npools:\n")
            .append(pools)
            .append("routes:\n");
    for (String route : routes) {
      text.append("  - {verify: trust, ").append(route).append("}\n");
    }
    return switch (RoutingTables.parse("routes.yaml", text.toString())) {
      case Loaded.Valid(RoutingTable valid) -> valid;
      case Loaded.Invalid(List<Complaint> complaints) ->
          throw new AssertionError(complaints.toString());
    };
  }

  ScriptedEngine engine(String pool) {
    return Objects.requireNonNull(engines.get(pool));
  }

  /** Asks for a text or a chat. */
  HttpResponse<String> ask(String path, String model, String... headers) {
    return stage.post(
        path,
        "{\"model\":\"%s\",\"prompt\":\"a\",\"messages\":[],\"max_tokens\":3}".formatted(model),
        headers);
  }

  /** Whose engines were asked anything. */
  String asked() {
    return engines.entrySet().stream()
        .filter(each -> !each.getValue().requests().isEmpty())
        .map(Map.Entry::getKey)
        .collect(Collectors.joining(","));
  }

  /** Whose engine has answered, if it was the only one that was asked. */
  String served(HttpResponse<String> answer) {
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    return asked();
  }
}
