package dev.millrace.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IFactory;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;
import picocli.CommandLine.UnmatchedArgumentException;

/** The {@code millrace} command. */
@Command(
    name = "millrace",
    description = "The HTTP endpoint in front of disaggregated LLM serving.",
    versionProvider = VersionText.class,
    mixinStandardHelpOptions = true,
    scope = ScopeType.INHERIT,
    showDefaultValues = true,
    usageHelpAutoWidth = true,
    sortOptions = false,
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {
      "0:done",
      "1:the thing asked is not so",
      "2:usage or configuration",
      "3:something cannot be reached",
      "70:a fault of Millrace itself"
    })
public final class Millrace implements Runnable {
  private static final List<Class<?>> COMMANDS =
      List.of(
          DemoCommand.class,
          ServeCommand.class,
          CheckCommand.class,
          PlanCommand.class,
          MatrixCommand.class,
          SimulateCommand.class,
          AgentCommand.class,
          ConfigCommand.class,
          KeysCommand.class,
          NixlCommand.class,
          CommandLine.HelpCommand.class);

  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = "--verbose",
      description = "Log what happens, and print the stack trace of a fault of Millrace itself.",
      scope = ScopeType.INHERIT)
  private boolean verbose;

  private Millrace() {}

  /** Runs a command and exits with its code. */
  public static void main(String[] arguments) {
    StopSignal stop = StopSignal.ofProcess();
    CommandLine commands = commands(stop, meantBy(arguments));
    int code = commands.execute(arguments);
    commands.getOut().flush();
    commands.getErr().flush();
    stop.ended(code);
    System.exit(code);
  }

  /** The command line; what it writes and how it is stopped can be replaced in tests. */
  static CommandLine commands(StopSignal stop) {
    return commands(stop, COMMANDS);
  }

  /** Some of the commands. */
  static CommandLine commands(StopSignal stop, List<Class<?>> known) {
    CommandLine commands = new CommandLine(new Millrace(), new Factory(stop));
    known.forEach(commands::addSubcommand);
    return explaining(commands);
  }

  /**
   * The command that is named, alone: to read what all of them declare takes a third of the time in
   * which a router is ready. All, where none is named or a name is misspelt.
   */
  private static List<Class<?>> meantBy(String[] arguments) {
    return Arrays.stream(arguments)
        .filter(word -> !word.startsWith("-"))
        .findFirst()
        .flatMap(name ->
            COMMANDS.stream()
                .filter(type -> type.getAnnotation(Command.class).name().equals(name))
                .filter(type -> type != CommandLine.HelpCommand.class)
                .findFirst())
        .<List<Class<?>>>map(List::of)
        .orElse(COMMANDS);
  }

  /** A command line that explains whatever goes wrong. */
  static CommandLine explaining(CommandLine commands) {
    commands.setCaseInsensitiveEnumValuesAllowed(true);
    commands.setAbbreviatedOptionsAllowed(false);
    commands.setExecutionStrategy(Millrace::executeAsAsked);
    commands.setParameterExceptionHandler(Millrace::explainUsage);
    commands.setExecutionExceptionHandler(Millrace::explainFailure);
    return commands;
  }

  @Override
  public void run() {
    spec.commandLine().usage(spec.commandLine().getOut());
  }

  private static int executeAsAsked(ParseResult parsed) {
    if (parsed.commandSpec().userObject() instanceof Millrace millrace && millrace.verbose) {
      Logging.speakUp();
    }
    return new CommandLine.RunLast().execute(parsed);
  }

  private static int explainUsage(ParameterException problem, String[] arguments) {
    CommandLine command = problem.getCommandLine();
    PrintWriter err = command.getErr();
    err.println("millrace: " + problem.getMessage());
    UnmatchedArgumentException.printSuggestions(problem, err);
    err.println("Try '%s --help'.".formatted(command.getCommandSpec().qualifiedName()));
    return ExitCode.USAGE;
  }

  private static int explainFailure(Exception problem, CommandLine command, ParseResult parsed) {
    PrintWriter err = command.getErr();
    if (problem instanceof Failure failure) {
      err.println("millrace: " + failure.text());
      return failure.exitCode();
    }
    err.println("millrace: this is a fault of Millrace itself: " + problem);
    if (parsed.commandSpec().userObject() instanceof Millrace millrace && millrace.verbose) {
      problem.printStackTrace(err);
    } else {
      err.println(whereDetailsWent(problem));
    }
    return ExitCode.OUR_FAULT;
  }

  private static String whereDetailsWent(Exception problem) {
    try {
      Path file = Files.createTempFile("millrace-fault-", ".txt");
      try (PrintWriter details = new PrintWriter(Files.newBufferedWriter(file))) {
        problem.printStackTrace(details);
      }
      return "The details are in %s.".formatted(file);
    } catch (IOException e) {
      return "The details could not be written (%s); --verbose prints them.".formatted(e);
    }
  }

  /** Makes commands, and gives those that wait what they wait for. */
  private record Factory(StopSignal stop) implements IFactory {
    @Override
    public <K> K create(Class<K> type) throws Exception {
      if (type == ServeCommand.class) {
        return type.cast(new ServeCommand(stop));
      }
      if (type == SimulateCommand.class) {
        return type.cast(new SimulateCommand(stop));
      }
      if (type == AgentCommand.class) {
        return type.cast(new AgentCommand(stop));
      }
      if (type == DemoCommand.class) {
        return type.cast(new DemoCommand(stop));
      }
      return CommandLine.defaultFactory().create(type);
    }
  }
}
