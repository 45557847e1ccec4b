package dev.millrace.router.discover;

import static dev.millrace.router.telemetry.PrometheusText.label;

import dev.millrace.config.Pool;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.WorkerSource;
import dev.millrace.router.telemetry.PrometheusText;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** Workers by their source, and questions by what became of them, in Prometheus' text format. */
final class MembersText {
  private MembersText() {}

  /** The workers of a pool that one source has named. */
  private record Named(Pool pool, WorkerSource source) {
    String labels() {
      return label("pool", pool.name()) + "," + label("source", source.keyword());
    }

    long count() {
      return pool.workers().stream().filter(worker -> worker.source() == source).count();
    }
  }

  static String of(RoutingTable table, List<Names.Asked> questions) {
    List<Named> named =
        table.pools().values().stream()
            .flatMap(
                pool -> Stream.of(WorkerSource.values()).map(source -> new Named(pool, source)))
            .toList();
    return new PrometheusText()
        .each(
            "millrace_pool_workers",
            "gauge",
            "Workers of a pool, by who has named them",
            named,
            Named::labels,
            Named::count)
        .each(
            "millrace_dns_lookups_total",
            "counter",
            "Questions to name servers, by what came of them",
            lookups(questions).entrySet(),
            Map.Entry::getKey,
            Map.Entry::getValue)
        .toString();
  }

  /**
   * By labels: two pools may ask the same with another port, and no series may stand there twice.
   */
  private static Map<String, Long> lookups(List<Names.Asked> questions) {
    Map<String, Long> lookups = new LinkedHashMap<>();
    for (Names.Asked one : questions) {
      lookups.merge(labels(one, "answered"), one.answered, Long::sum);
      lookups.merge(labels(one, "empty"), one.empty, Long::sum);
      lookups.merge(labels(one, "failed"), one.failed, Long::sum);
    }
    return lookups;
  }

  private static String labels(Names.Asked one, String outcome) {
    return String.join(
        ",",
        label("name", one.question.name()),
        label("type", one.question.type().keyword()),
        label("outcome", outcome));
  }
}
