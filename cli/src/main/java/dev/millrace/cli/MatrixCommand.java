package dev.millrace.cli;

import dev.millrace.layout.compatibility.ConnectorRelease;
import dev.millrace.layout.compatibility.matrix.Matrix;
import java.io.PrintWriter;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code millrace matrix}: what vLLM's NIXL connector pairs, and what agents add. */
@Command(
    name = "matrix",
    description = {
      "Shows which models vLLM's NIXL connector can split over prefill and decode engines, in what"
          + " the two may differ, and what KV agents add to that.",
      "Whether two engines of your own fit is another question: docs/compatibility.md."
    })
final class MatrixCommand implements Callable<Integer> {
  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = "--connector-version",
      paramLabel = "N",
      description = "NIXL_CONNECTOR_VERSION of both engines; vLLM 0.32 has 14.")
  private int connectorVersion = ConnectorRelease.NEWEST;

  @Option(names = "--json", description = "Write JSON.")
  private boolean json;

  @Override
  public Integer call() {
    Matrix matrix;
    try {
      matrix = Matrix.of(connectorVersion);
    } catch (IllegalArgumentException unknown) {
      throw new ParameterException(
          spec.commandLine(), "--connector-version: " + unknown.getMessage(), unknown);
    }
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      out.println(MatrixJson.of(matrix).encodePrettily());
    } else {
      out.print(MatrixText.of(matrix));
    }
    return ExitCode.DONE;
  }
}
