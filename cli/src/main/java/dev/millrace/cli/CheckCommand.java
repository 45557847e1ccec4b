package dev.millrace.cli;

import dev.millrace.config.RoutingTable;
import dev.millrace.router.Inspection;
import dev.millrace.router.Router;
import io.vertx.core.Vertx;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code millrace check}: which prefill and decode workers can work together. */
@Command(
    name = "check",
    description = {
      "Asks every worker of a routing table what it is, and says which prefill and decode workers can"
          + " work together, by which way, and why others cannot.",
      "Each worker computes a prompt of one token; nothing else is tried out."
    },
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {
      "0:every pair can be used by its route's transfer setting",
      "1:a pair cannot",
      "2:usage or configuration",
      "3:a worker cannot be reached, or a pool has none",
      "70:a fault of Millrace itself"
    })
final class CheckCommand implements Callable<Integer> {
  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = {"-c", "--config"},
      required = true,
      paramLabel = "FILE",
      description = "The routing table.")
  private Path file = Path.of("");

  @Option(
      names = "--declared",
      description = "Contact nobody; judge by what the table declares of its workers.")
  private boolean declared;

  @Option(names = "--json", description = "Print everything that is known, for programs.")
  private boolean json;

  @Override
  public Integer call() {
    RoutingTable table = ConfigCommand.read(file);
    Inspection inspection = declared ? Inspection.declared(table) : probed(table);
    PrintWriter out = spec.commandLine().getOut();
    CheckReport report = new CheckReport(inspection);
    out.println(json ? report.json() : report.text());
    out.flush();
    return report.exitCode();
  }

  private static Inspection probed(RoutingTable table) {
    Vertx vertx = Router.vertx();
    try {
      return Startup.started(
          "asking the workers", Inspection.probing(vertx, table, System::nanoTime));
    } finally {
      Startup.closed(vertx.close());
    }
  }
}
