package dev.millrace.bench;

import java.util.List;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.options.OptionsBuilder;

/**
 * Runs the benchmarks that are named: {@code plan}, {@code reads}, {@code relayout}, {@code relay}.
 */
final class Benchmarks {
  private Benchmarks() {}

  public static void main(String[] names) throws Exception {
    for (String name :
        names.length == 0 ? List.of("plan", "reads", "relayout", "relay") : List.of(names)) {
      switch (name) {
        case "plan" ->
            new Runner(
                    new OptionsBuilder()
                        .include(PlanBenchmark.class.getName())
                        .addProfiler(GCProfiler.class)
                        .build())
                .run();
        case "reads" -> BlockReads.main(new String[0]);
        case "relayout" -> RelayoutBenchmark.main(new String[0]);
        case "relay" -> RelayTimes.main(new String[0]);
        default ->
            throw new IllegalArgumentException(
                "\"" + name + "\" is none of plan, reads, relayout and relay");
      }
    }
  }
}
