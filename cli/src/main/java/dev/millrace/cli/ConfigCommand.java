package dev.millrace.cli;

import dev.millrace.config.AccessKeys;
import dev.millrace.config.AgentConfig;
import dev.millrace.config.AgentConfigs;
import dev.millrace.config.Complaint;
import dev.millrace.config.KeyTables;
import dev.millrace.config.Loaded;
import dev.millrace.config.LoadedAgent;
import dev.millrace.config.LoadedKeys;
import dev.millrace.config.Pool;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.RoutingTables;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code millrace config}: about routing tables and agents' configurations. */
@Command(
    name = "config",
    description = "Checks and describes routing tables and agents' configurations.")
final class ConfigCommand implements Runnable {
  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(), "config needs a subcommand: validate or schema");
  }

  @Command(
      name = "validate",
      description = {
        "Reads a routing table, or an agent's configuration, and reports every mistake with its line and"
            + " column.",
        "A file with side-channels and without pools and routes is an agent's."
      })
  int validate(
      @Parameters(
              paramLabel = "FILE",
              description = "The routing table, or the agent's configuration.")
          Path file) {
    if (AgentConfigs.isForAgent(file)) {
      AgentConfig agent = readAgent(file);
      spec.commandLine()
          .getOut()
          .println(
              "%s: valid; an agent with %s, %s, %s"
                  .formatted(
                      file,
                      counted(agent.models().size(), "model"),
                      counted(agent.sideChannels().size(), "side channel"),
                      agent.serving().isPresent()
                          ? "which stands between engines"
                          : "which only reads"));
      return ExitCode.DONE;
    }
    RoutingTable table = read(file);
    long workers = table.pools().values().stream().map(Pool::workers).mapToLong(List::size).sum();
    spec.commandLine()
        .getOut()
        .println(
            "%s: valid; %s, %s, %s"
                .formatted(
                    file,
                    counted(table.routes().size(), "route"),
                    counted(table.pools().size(), "pool"),
                    counted(workers, "worker")));
    return ExitCode.DONE;
  }

  @Command(
      name = "schema",
      description = {
        "Prints the JSON Schema (draft 2020-12) of routing tables, for editors and pipelines.",
        "It knows what a file's structure may be; validate knows also what holds together."
      })
  int schema(
      @Option(names = "--agent", description = "Of agents' configurations instead.") boolean agent,
      @Option(names = "--keys", description = "Of files of access keys instead.") boolean keys) {
    if (agent && keys) {
      throw new ParameterException(
          spec.commandLine(), "--agent and --keys are two schemas; ask for one at a time");
    }
    Map<String, Object> schema =
        agent ? AgentConfigs.schema() : keys ? AccessKeys.schema() : RoutingTables.schema();
    spec.commandLine().getOut().println(new JsonObject(schema).encodePrettily());
    return ExitCode.DONE;
  }

  @Command(
      name = "docs",
      hidden = true,
      description =
          "Writes the tables of keys in Millrace's documentation anew, between <!-- keys: NAME --> and"
              + " <!-- end of keys -->.")
  int docs(
      @Parameters(paramLabel = "PAGE", arity = "1..*", description = "Pages to rewrite.")
          List<Path> pages) {
    for (Path page : pages) {
      try {
        Files.writeString(page, KeyTables.rewritten(Files.readString(page)));
      } catch (IOException | IllegalArgumentException e) {
        throw Failure.usage("%s cannot be rewritten: %s".formatted(page, e.getMessage()));
      }
    }
    return ExitCode.DONE;
  }

  /** Reads a routing table, or fails with all that is wrong with it. */
  static RoutingTable read(Path file) {
    return switch (RoutingTables.read(file)) {
      case Loaded.Valid(RoutingTable table) -> {
        table.listen().keysFile().ifPresent(ConfigCommand::checkKeys);
        yield table;
      }
      case Loaded.Invalid(List<Complaint> complaints) -> throw mistakes(file, complaints);
    };
  }

  private static void checkKeys(Path file) {
    if (AccessKeys.read(file) instanceof LoadedKeys.Invalid(List<Complaint> complaints)) {
      throw mistakes(file, complaints);
    }
  }

  /** Reads an agent's configuration, or fails with all that is wrong with it. */
  static AgentConfig readAgent(Path file) {
    return switch (AgentConfigs.read(file)) {
      case LoadedAgent.Valid(AgentConfig config) -> config;
      case LoadedAgent.Invalid(List<Complaint> complaints) -> throw mistakes(file, complaints);
    };
  }

  /** All that is wrong with a file. */
  private static Failure mistakes(Path file, List<Complaint> complaints) {
    return Failure.usage(
        "%s in %s\n%s"
            .formatted(
                counted(complaints.size(), "mistake"),
                file,
                String.join("\n", complaints.stream().map(Complaint::toString).toList())));
  }

  private static String counted(long count, String noun) {
    return count + " " + noun + (count == 1 ? "" : "s");
  }
}
