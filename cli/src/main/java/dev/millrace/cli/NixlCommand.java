package dev.millrace.cli;

import dev.millrace.transfer.nixl.DoctorReport;
import dev.millrace.transfer.nixl.NixlDoctor;
import dev.millrace.transfer.nixl.NixlSettings;
import java.nio.file.Path;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code millrace nixl}: about the library that moves blocks between hosts. */
@Command(name = "nixl", description = "Looks at the NIXL library.")
final class NixlCommand implements Runnable {
  /** Loading the library takes a second, a backend on a machine with many devices several. */
  private static final Duration PATIENCE = Duration.ofSeconds(30);

  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "nixl needs a subcommand: doctor");
  }

  @Command(
      name = "doctor",
      description = {
        "Says what was found of NIXL: library, version, plugins, transports, and whether a block"
            + " read over loopback brings the right bytes; with what to do where something is"
            + " wrong.",
        "Exit code 1 if blocks cannot be moved with it."
      })
  int doctor(
      @Option(
              names = "--home",
              paramLabel = "FOLDER",
              description =
                  "Look at this install instead of $MILLRACE_NIXL_HOME or the folder that"
                      + " scripts/fetch-nixl.sh fills.")
          @Nullable Path home) {
    NixlSettings settings =
        home == null ? NixlSettings.DEFAULT : NixlSettings.DEFAULT.withHome(home);
    DoctorReport report = NixlDoctor.examine(settings, PATIENCE);
    report.lines().forEach(spec.commandLine().getOut()::println);
    return report.isWell() ? ExitCode.DONE : ExitCode.NOT_SO;
  }
}
