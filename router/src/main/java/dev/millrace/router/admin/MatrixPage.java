package dev.millrace.router.admin;

import dev.millrace.layout.compatibility.EngineProfile;
import dev.millrace.layout.compatibility.Judgement;
import dev.millrace.layout.compatibility.Way;
import dev.millrace.router.edges.Edge;
import dev.millrace.router.edges.EdgeState;
import dev.millrace.router.edges.RouteEdges;
import dev.millrace.router.edges.RulingJson;
import dev.millrace.router.edges.Watch;
import dev.millrace.router.pools.Worker;
import dev.millrace.router.probe.Profiles;
import dev.millrace.router.probe.Sighting;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/** {@code /pd/matrix}: which workers can work together, and why others cannot. */
final class MatrixPage {
  private MatrixPage() {}

  static JsonObject of(Watch watch, long now) {
    JsonArray routes = new JsonArray();
    watch.routes().forEach(edges -> routes.add(route(edges)));
    JsonArray workers = new JsonArray();
    watch.workers().forEach(worker -> workers.add(json(watch, worker, now)));
    return new JsonObject().put("routes", routes).put("workers", workers);
  }

  private static JsonObject json(Watch watch, Worker worker, long now) {
    JsonObject json = new JsonObject().put("url", worker.url());
    Optional<Sighting> sighting = watch.sighting(worker);
    if (sighting.isEmpty()) {
      return json.put("state", "silent").put("why", watch.trouble(worker));
    }
    EngineProfile profile = Profiles.of(worker, sighting.get());
    return json.put("state", "answers")
        .put("asked_ms_ago", Duration.ofNanos(now - watch.askedNanos(worker)).toMillis())
        .put("facts", RulingJson.facts(profile))
        .put("disagreements", RulingJson.disagreements(profile))
        .put("gaps", new JsonArray(sighting.get().gaps()));
  }

  private static JsonObject route(RouteEdges edges) {
    JsonArray all = new JsonArray();
    edges.edges().forEach(edge -> all.add(json(edge)));
    return new JsonObject()
        .put("route", edges.route().name())
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
          json.put("state", "refused").put("why", RulingJson.reasons(tried));
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
