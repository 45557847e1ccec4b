package dev.millrace.router.admin;

import dev.millrace.layout.compatibility.Judgement;
import dev.millrace.layout.compatibility.Missing;
import dev.millrace.layout.compatibility.Reason;
import dev.millrace.layout.compatibility.Verdict;
import dev.millrace.layout.compatibility.Way;
import dev.millrace.router.edges.Edge;
import dev.millrace.router.edges.EdgeState;
import dev.millrace.router.edges.RouteEdges;
import dev.millrace.router.edges.Watch;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.util.List;

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
          json.put("state", "usable").put("way", way.toString()).put("why", new JsonArray(notes));
      case EdgeState.Pending(String why) -> json.put("state", "pending").put("why", one(why));
      case EdgeState.Refused(List<Judgement> tried) ->
          json.put("state", "refused").put("why", reasons(tried));
      case EdgeState.Broken(_, String why, _) -> json.put("state", "broken").put("why", one(why));
    }
    return json.put("hand_offs", edge.totalHandOffs())
        .put("failures", edge.totalFailures())
        .put("recomputed", edge.totalRecomputed())
        .put("bytes_per_second", Math.round(edge.bandwidth().bytesPerSecond()));
  }

  private static JsonArray reasons(List<Judgement> tried) {
    JsonArray all = new JsonArray();
    for (Judgement judgement : tried) {
      String way = judgement.way().toString();
      switch (judgement.verdict()) {
        case Verdict.Refused(List<Reason> reasons) ->
            reasons.forEach(reason -> all.add(json(way, reason)));
        case Verdict.Unknown(List<Missing> missing) ->
            missing.forEach(fact -> all.add(json(way, fact)));
        case Verdict.Fits _, Verdict.FitsWith _ -> {}
      }
    }
    return all;
  }

  private static JsonObject json(String way, Reason reason) {
    return new JsonObject()
        .put("way", way)
        .put("rule", reason.rule().toString())
        .put("prefill", reason.prefill())
        .put("decode", reason.decode())
        .put("source", reason.source())
        .put("remedy", reason.remedy());
  }

  private static JsonObject json(String way, Missing missing) {
    return new JsonObject()
        .put("way", way)
        .put("rule", missing.rule().toString())
        .put("missing", missing.what())
        .put("side", missing.side().toString())
        .put("remedy", missing.remedy());
  }

  private static JsonArray one(String why) {
    return new JsonArray().add(why);
  }
}
