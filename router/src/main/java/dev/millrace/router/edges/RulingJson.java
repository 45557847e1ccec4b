package dev.millrace.router.edges;

import dev.millrace.layout.compatibility.Disagreement;
import dev.millrace.layout.compatibility.EngineProfile;
import dev.millrace.layout.compatibility.Judgement;
import dev.millrace.layout.compatibility.Missing;
import dev.millrace.layout.compatibility.Reason;
import dev.millrace.layout.compatibility.Verdict;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.util.List;
import java.util.Locale;

/** Verdicts and what they rest on, as programs read them. */
public final class RulingJson {
  private RulingJson() {}

  /** Every reason of every way, in their order. */
  public static JsonArray reasons(List<Judgement> tried) {
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

  /** Every fact of an engine, with its source. */
  public static JsonArray facts(EngineProfile profile) {
    JsonArray facts = new JsonArray();
    profile
        .facts()
        .forEach((fact, known) ->
            facts.add(
                new JsonObject()
                    .put("fact", fact.toString())
                    .put("value", String.valueOf(known.value()))
                    .put("origin", known.origin().name().toLowerCase(Locale.ROOT))
                    .put("where", known.where())));
    return facts;
  }

  /** Where an engine is not what it is said to be. */
  public static JsonArray disagreements(EngineProfile profile) {
    JsonArray all = new JsonArray();
    for (Disagreement disagreement : profile.disagreements()) {
      all.add(disagreement.toString());
    }
    return all;
  }
}
