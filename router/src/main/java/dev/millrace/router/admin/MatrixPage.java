package dev.millrace.router.admin;

import dev.millrace.router.edges.Edge;
import dev.millrace.router.edges.EdgeState;
import dev.millrace.router.edges.RouteEdges;
import dev.millrace.router.edges.Watch;
import dev.millrace.router.edges.Way;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.util.List;
import java.util.Locale;

/** {@code /pd/matrix}: which workers can work together, and why others cannot. */
final class MatrixPage {
  private MatrixPage() {}

  static JsonObject of(Watch watch) {
    JsonArray routes = new JsonArray();
    watch.routes().forEach(edges -> routes.add(route(edges)));
    return new JsonObject().put("routes", routes);
  }

  private static JsonObject route(RouteEdges edges) {
    JsonArray all = new JsonArray();
    edges.edges().forEach(edge -> all.add(json(edge)));
    return new JsonObject()
        .put("model", edges.route().model())
        .put("transfer", edges.route().pairing().transfer().keyword())
        .put("edges", all);
  }

  private static JsonObject json(Edge edge) {
    JsonObject json =
        new JsonObject().put("prefill", edge.prefill().url()).put("decode", edge.decode().url());
    switch (edge.state()) {
      case EdgeState.Usable(Way way, List<String> notes) ->
          json.put("state", "usable")
              .put("way", way.name().toLowerCase(Locale.ROOT))
              .put("why", new JsonArray(notes));
      case EdgeState.Pending(String why) -> json.put("state", "pending").put("why", one(why));
      case EdgeState.Refused(List<String> reasons) ->
          json.put("state", "refused").put("why", new JsonArray(reasons));
      case EdgeState.Broken(_, String why, _) -> json.put("state", "broken").put("why", one(why));
    }
    return json.put("hand_offs", edge.totalHandOffs())
        .put("failures", edge.totalFailures())
        .put("recomputed", edge.totalRecomputed())
        .put("bytes_per_second", Math.round(edge.bandwidth().bytesPerSecond()));
  }

  private static JsonArray one(String why) {
    return new JsonArray().add(why);
  }
}
