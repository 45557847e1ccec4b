package dev.millrace.bench;

import java.util.List;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.OptionsBuilder;

/**
 * Runs the benchmarks that are named: {@code plan}, {@code body}, {@code stream}, {@code choice},
 * {@code reads}, {@code relayout}, {@code relay}.
 */
final class Benchmarks {
  private Benchmarks() {}

  public static void main(String[] names) throws Exception {
    for (String name :
        names.length == 0
            ? List.of("plan", "body", "stream", "choice", "reads", "relayout", "relay")
            : List.of(names)) {
      switch (name) {
        case "plan", "body", "stream", "choice" -> microbenchmark(name);
        case "reads" -> BlockReads.main(new String[0]);
        case "relayout" -> RelayoutBenchmark.main(new String[0]);
        case "relay" -> RelayTimes.main(new String[0]);
        default ->
            throw new IllegalArgumentException(
                "\""
                    + name
                    + "\" is none of plan, body, stream, choice, reads, relayout and relay");
      }
    }
  }

  private static void microbenchmark(String name) throws RunnerException {
    Class<?> benchmark =
        switch (name) {
          case "plan" -> PlanBenchmark.class;
          case "body" -> BodyBenchmark.class;
          case "stream" -> StreamBenchmark.class;
          default -> ChoiceBenchmark.class;
        };
    new Runner(
            new OptionsBuilder().include(benchmark.getName()).addProfiler(GCProfiler.class).build())
        .run();
  }
}
