package dev.millrace.router.discover;

import dev.millrace.config.RoutingTable;
import dev.millrace.config.WorkerAddress;
import dev.millrace.config.WorkerSource;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** Workers by their source, and questions by what became of them, in Prometheus' text format. */
final class MembersText {
  private static final String WORKERS = "millrace_pool_workers";
  private static final String LOOKUPS = "millrace_dns_lookups_total";

  private MembersText() {}

  static String of(RoutingTable table, List<Names.Asked> questions) {
    StringBuilder text = new StringBuilder();
    head(text, WORKERS, "gauge", "Workers of a pool, by who has named them");
    table
        .pools()
        .forEach((pool, workers) -> {
          Map<WorkerSource, Long> count =
              workers.workers().stream()
                  .collect(Collectors.groupingBy(WorkerAddress::source, Collectors.counting()));
          for (WorkerSource source : WorkerSource.values()) {
            sample(
                text,
                "%s{pool=\"%s\",source=\"%s\"}".formatted(WORKERS, pool, source.keyword()),
                count.getOrDefault(source, 0L));
          }
        });
    head(text, LOOKUPS, "counter", "Questions to name servers, by what came of them");
    // Two pools may ask the same with another port, and no series may stand there twice.
    Map<String, Long> lookups = new LinkedHashMap<>();
    for (Names.Asked one : questions) {
      lookups.merge(lookup(one, "answered"), one.answered, Long::sum);
      lookups.merge(lookup(one, "empty"), one.empty, Long::sum);
      lookups.merge(lookup(one, "failed"), one.failed, Long::sum);
    }
    lookups.forEach((series, value) -> sample(text, series, value));
    return text.toString();
  }

  private static String lookup(Names.Asked one, String outcome) {
    return "%s{name=\"%s\",type=\"%s\",outcome=\"%s\"}"
        .formatted(LOOKUPS, one.question.name(), one.question.type(), outcome);
  }

  private static void head(StringBuilder text, String name, String type, String help) {
    text.append("# HELP ").append(name).append(' ').append(help).append(".\n");
    text.append("# TYPE ").append(name).append(' ').append(type).append('\n');
  }

  private static void sample(StringBuilder text, String series, long value) {
    text.append(series).append(' ').append(value).append('\n');
  }
}
