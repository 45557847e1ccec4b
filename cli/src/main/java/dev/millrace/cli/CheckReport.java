package dev.millrace.cli;

import dev.millrace.config.Route;
import dev.millrace.layout.compatibility.ConnectorMessage;
import dev.millrace.layout.compatibility.Disagreement;
import dev.millrace.layout.compatibility.EngineProfile;
import dev.millrace.layout.compatibility.Judgement;
import dev.millrace.layout.compatibility.Missing;
import dev.millrace.layout.compatibility.Reason;
import dev.millrace.layout.compatibility.Verdict;
import dev.millrace.layout.compatibility.Way;
import dev.millrace.router.Inspection;
import dev.millrace.router.edges.Judge.Ruling;
import dev.millrace.router.edges.RulingJson;
import dev.millrace.router.pools.Worker;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** An inspection as people and programs read it: a table with marks, then the reasons. */
final class CheckReport {
  private static final String SILENT = "-";
  private static final String UNKNOWN = "?";
  private static final String REFUSED = "no";
  private static final String WITH_CANARY = "*";

  private final Inspection inspection;
  private final StringBuilder text = new StringBuilder();

  CheckReport(Inspection inspection) {
    this.inspection = inspection;
  }

  /** What the command ends with: the gravest of what was found. */
  int exitCode() {
    if (!inspection.emptyPools().isEmpty()
        || inspection.workers().stream().anyMatch(found -> found.trouble().isPresent())) {
      return ExitCode.UNREACHABLE;
    }
    boolean all =
        inspection.pairs().stream()
            .allMatch(pair -> pair.ruling().filter(Ruling.Fits.class::isInstance).isPresent());
    return all ? ExitCode.DONE : ExitCode.NOT_SO;
  }

  // ---- for people ----

  String text() {
    text.setLength(0);
    byRoute().forEach(this::table);
    text.append(
        "engine, bridge, relay: the way that is used   *: after a canary   no: refused   ?: not known"
            + "   -: a worker does not answer\n");
    inspection.pairs().forEach(this::reasons);
    inspection.workers().forEach(this::worker);
    inspection
        .emptyPools()
        .forEach(pool ->
            text.append(
                "\npool %s has no worker: nobody whom its table names has said one\n"
                    .formatted(pool)));
    return text.toString().stripTrailing();
  }

  private Map<Route, List<Inspection.Pair>> byRoute() {
    return inspection.pairs().stream()
        .collect(
            Collectors.groupingBy(Inspection.Pair::route, LinkedHashMap::new, Collectors.toList()));
  }

  private void table(Route route, List<Inspection.Pair> pairs) {
    text.append(
        "route %s, transfer %s\n\n".formatted(route.name(), route.pairing().transfer().keyword()));
    List<Worker> decode = pairs.stream().map(Inspection.Pair::decode).distinct().toList();
    List<String> headings = new ArrayList<>(List.of("prefill \\ decode"));
    decode.forEach(worker -> headings.add(name(worker)));
    Table table = new Table(headings.toArray(String[]::new));
    pairs.stream()
        .collect(
            Collectors.groupingBy(
                Inspection.Pair::prefill, LinkedHashMap::new, Collectors.toList()))
        .forEach((prefill, row) -> {
          List<String> cells = new ArrayList<>(List.of(name(prefill)));
          row.forEach(pair -> cells.add(mark(pair.ruling())));
          table.row(cells.toArray(String[]::new));
        });
    text.append(table).append('\n');
  }

  private static String name(Worker worker) {
    return worker.url().replaceFirst("^https?://", "");
  }

  private static String mark(Optional<Ruling> ruling) {
    if (ruling.isEmpty()) {
      return SILENT;
    }
    return switch (ruling.get()) {
      case Ruling.Fits(Way way, _, boolean canary) -> way + (canary ? WITH_CANARY : "");
      case Ruling.Refuses(List<Judgement> tried) ->
          tried.stream().anyMatch(one -> one.verdict() instanceof Verdict.Unknown)
              ? UNKNOWN
              : REFUSED;
    };
  }

  private void reasons(Inspection.Pair pair) {
    pair.ruling()
        .ifPresent(ruling -> {
          List<String> lines =
              switch (ruling) {
                case Ruling.Fits(_, List<String> notes, _) ->
                    notes.stream().map(note -> "  " + note).toList();
                case Ruling.Refuses(List<Judgement> tried) ->
                    Stream.concat(
                            tried.stream().flatMap(one -> lines(one).stream()),
                            connectorSays(pair)
                                .map("  the decode engine's connector refuses it: "::concat)
                                .stream())
                        .toList();
              };
          if (!lines.isEmpty()) {
            text.append(
                "\n%s → %s: %s\n"
                    .formatted(
                        name(pair.prefill()), name(pair.decode()), mark(Optional.of(ruling))));
            lines.forEach(line -> text.append(line).append('\n'));
          }
        });
  }

  /** With what its own connector refuses the pair; empty where that would take it, if wrongly. */
  private Optional<String> connectorSays(Inspection.Pair pair) {
    return ConnectorMessage.of(profile(pair.prefill()), profile(pair.decode()));
  }

  private EngineProfile profile(Worker worker) {
    return inspection.workers().stream()
        .filter(found -> found.worker().equals(worker))
        .findFirst()
        .orElseThrow()
        .profile();
  }

  private static List<String> lines(Judgement judgement) {
    List<String> lines = new ArrayList<>();
    switch (judgement.verdict()) {
      case Verdict.Refused(List<Reason> reasons) ->
          reasons.forEach(reason -> {
            lines.add(
                "  %s, %s: prefill %s, decode %s"
                    .formatted(judgement.way(), reason.rule(), reason.prefill(), reason.decode()));
            lines.add("      source: " + reason.source());
            lines.add("      remedy: " + reason.remedy());
          });
      case Verdict.Unknown(List<Missing> missing) ->
          missing.forEach(fact -> {
            lines.add(
                "  %s, %s: %s of the %s engine is not known"
                    .formatted(judgement.way(), fact.rule(), fact.what(), fact.side()));
            lines.add("      remedy: " + fact.remedy());
          });
      case Verdict.Fits _, Verdict.FitsWith _ -> {}
    }
    return lines;
  }

  private void worker(Inspection.Found found) {
    found
        .trouble()
        .ifPresent(
            why -> text.append("\n%s does not answer: %s\n".formatted(name(found.worker()), why)));
    List<Disagreement> contradictions = found.profile().disagreements();
    if (!contradictions.isEmpty() || !found.gaps().isEmpty()) {
      text.append("\n%s\n".formatted(name(found.worker())));
      contradictions.forEach(one -> text.append("  contradiction: ").append(one).append('\n'));
      found.gaps().forEach(gap -> text.append("  not learnt: ").append(gap).append('\n'));
    }
  }

  // ---- for programs ----

  String json() {
    JsonArray workers = new JsonArray();
    for (Inspection.Found found : inspection.workers()) {
      JsonObject json =
          new JsonObject()
              .put("url", found.worker().url())
              .put("pool", found.worker().pool())
              .put("facts", RulingJson.facts(found.profile()))
              .put("disagreements", RulingJson.disagreements(found.profile()))
              .put("gaps", new JsonArray(found.gaps()));
      found.trouble().ifPresent(why -> json.put("trouble", why));
      workers.add(json);
    }
    JsonArray pairs = new JsonArray();
    inspection.pairs().forEach(pair -> pairs.add(json(pair)));
    return new JsonObject()
        .put("pairs", pairs)
        .put("workers", workers)
        .put("pools_without_workers", new JsonArray(inspection.emptyPools()))
        .encodePrettily();
  }

  private JsonObject json(Inspection.Pair pair) {
    JsonObject json =
        new JsonObject()
            .put("route", pair.route().name())
            .put("model", pair.route().model())
            .put("transfer", pair.route().pairing().transfer().keyword())
            .put("prefill", pair.prefill().url())
            .put("decode", pair.decode().url());
    if (pair.ruling().isEmpty()) {
      return json.put("usable", false).put("why", new JsonArray());
    }
    return switch (pair.ruling().get()) {
      case Ruling.Fits(Way way, List<String> notes, boolean canary) ->
          json.put("usable", true)
              .put("way", way.toString())
              .put("canary", canary)
              .put("why", new JsonArray(notes));
      case Ruling.Refuses(List<Judgement> tried) -> {
        connectorSays(pair).ifPresent(message -> json.put("connector", message));
        yield json.put("usable", false).put("why", RulingJson.reasons(tried));
      }
    };
  }
}
