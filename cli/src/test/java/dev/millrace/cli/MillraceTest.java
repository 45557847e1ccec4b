package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

class MillraceTest {
  @Test
  void noCommand_showsThemAll() {
    assertThat(CommandLineRun.of().assertDone().out())
        .contains("demo", "serve", "plan", "simulate", "config")
        .contains("Exit codes:");
  }

  @Test
  void version_isThatOfTheBuild() {
    assertThat(CommandLineRun.of("--version").assertDone().out())
        .matches("millrace \\d+\\.\\d+\\.\\d+\\S* \\(Java \\d+, .*\\)\\R");
  }

  @Test
  void help_ofEveryCommand_isThere() {
    assertHelp(Millrace.commands(new StopSignal()), "");
  }

  private static void assertHelp(CommandLine command, String path) {
    for (var entry : command.getSubcommands().entrySet()) {
      if (entry.getKey().equals("help")) {
        continue;
      }
      String own = (path + " " + entry.getKey()).strip();
      String[] arguments = (own + " --help").split(" ");
      assertThat(CommandLineRun.of(arguments).assertDone().out())
          .as(own)
          .startsWith("Usage: millrace " + own)
          .contains("--verbose");
      assertHelp(entry.getValue(), own);
    }
  }

  @Test
  void unknownCommand_isAUsageError() {
    assertThat(CommandLineRun.of("serv").assertFailed(ExitCode.USAGE).err()).contains("'serv'");
  }

  @Test
  void unknownOption_isNamedWithTheNearest() {
    assertThat(
            CommandLineRun.of("config", "validate", "--verbos", "routes.yaml")
                .assertFailed(ExitCode.USAGE)
                .err())
        .contains("--verbos")
        .contains("Try 'millrace config validate --help'.");
  }

  @Test
  void ourFault_tellsWhereTheDetailsWent() throws Exception {
    CommandLine commands = Millrace.commands(new StopSignal());
    commands.addSubcommand("break", new BrokenCommand());
    StringWriter err = new StringWriter();
    commands.setErr(new PrintWriter(err, true));

    int exitCode = commands.execute("break");

    assertThat(exitCode).isEqualTo(ExitCode.OUR_FAULT);
    assertThat(err.toString())
        .contains("java.lang.IllegalStateException: a bug")
        .doesNotContain("\tat ");
    Matcher file = Pattern.compile("details are in (\\S+)\\.\\R").matcher(err.toString());
    assertThat(file.find()).isTrue();
    Path details = Path.of(file.group(1));
    assertThat(details).content().contains("a bug").contains("\tat ");
    Files.delete(details);
  }

  @CommandLine.Command(name = "break")
  private static final class BrokenCommand implements Runnable {
    @Override
    public void run() {
      throw new IllegalStateException("a bug");
    }
  }
}
