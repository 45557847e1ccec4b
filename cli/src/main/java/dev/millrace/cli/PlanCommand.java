package dev.millrace.cli;

import dev.millrace.config.Transfer;
import dev.millrace.layout.BlockPicture;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.GeometryText;
import dev.millrace.layout.IncompatibleGeometry;
import dev.millrace.layout.Rounding;
import java.io.PrintWriter;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code millrace plan}: explains what would move between two engines. */
@Command(
    name = "plan",
    description = "Explains which bytes would move from a prefill to a decode engine.",
    footerHeading = "%nA geometry G is written as key=value pairs:%n",
    footer = {
      "  tp=2,block=16,layout=hnd,heads=8,layers=32,head-size=128,dtype=bf16",
      "What is left out has a default."
    })
final class PlanCommand implements Callable<Integer> {
  private static final int MOST_TOKENS = 10_000_000;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = "--prefill",
      required = true,
      paramLabel = "G",
      description = "Geometry of the prefill engine.")
  private String prefill = "";

  @Option(
      names = "--decode",
      required = true,
      paramLabel = "G",
      description = "Geometry of the decode engine.")
  private String decode = "";

  @Option(names = "--tokens", paramLabel = "N", description = "Tokens of the prompt.")
  private int tokens = 1000;

  @Option(
      names = "--exact",
      description = "Read only the bytes that are needed, instead of whole prefill blocks.")
  private boolean exact;

  @Option(
      names = "--transfer",
      description =
          "Show the way as well by which a route with this setting takes the blocks:"
              + " ${COMPLETION-CANDIDATES}. What geometries do not say is taken to be equal.")
  private @Nullable Transfer transfer;

  @Option(
      names = "--rank",
      paramLabel = "R",
      description = "Decode rank whose view of one prefill block is drawn.")
  private int rank;

  @Override
  public Integer call() {
    if (tokens < 1 || tokens > MOST_TOKENS) {
      throw new ParameterException(
          spec.commandLine(), "--tokens is %d, must be 1 to %d".formatted(tokens, MOST_TOKENS));
    }
    GeometrySpec source = parse("--prefill", prefill);
    GeometrySpec target = parse("--decode", decode);
    int ranks = target.parallelism().ranks();
    if (rank < 0 || rank >= ranks) {
      throw new ParameterException(
          spec.commandLine(),
          "--rank is %d, the decode engine has ranks 0 to %d".formatted(rank, ranks - 1));
    }
    PlanReport report;
    try {
      report =
          PlanReport.of(source, target, tokens, exact ? Rounding.EXACT : Rounding.WHOLE_BLOCKS);
    } catch (IncompatibleGeometry e) {
      spec.commandLine().getErr().println("millrace: no plan: " + e.getMessage());
      return ExitCode.NOT_SO;
    }
    PrintWriter out = spec.commandLine().getOut();
    out.println("prefill  " + GeometryText.format(source));
    out.println("decode   " + GeometryText.format(target));
    out.println(
        "%d tokens: %d prefill blocks, %d decode blocks"
            .formatted(
                tokens,
                Math.ceilDiv(tokens, source.blockSize()),
                Math.ceilDiv(tokens, target.blockSize())));
    out.println();
    out.print(report.table());
    out.println();
    out.print(BlockPicture.draw(report.planner(), report.planner().target().ranks().get(rank)));
    return transfer == null ? ExitCode.DONE : way(PlanWay.of(transfer, source, target, report));
  }

  private int way(PlanWay way) {
    if (way.isNone()) {
      spec.commandLine().getErr().print("millrace: " + way.text());
      return ExitCode.NOT_SO;
    }
    PrintWriter out = spec.commandLine().getOut();
    out.println();
    out.print(way.text());
    return ExitCode.DONE;
  }

  private GeometrySpec parse(String option, String text) {
    try {
      GeometrySpec parsed = GeometryText.parse(text);
      // Building it once finds what does not go together.
      parsed.geometry();
      return parsed;
    } catch (IllegalArgumentException | IncompatibleGeometry e) {
      throw new ParameterException(spec.commandLine(), option + ": " + e.getMessage(), e);
    }
  }
}
