package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import picocli.CommandLine;

/**
 * One command run inside this process.
 *
 * @param exitCode how it ended
 * @param out what it wrote to standard output
 * @param err what it wrote to standard error
 */
record CommandLineRun(int exitCode, String out, String err) {
  static CommandLineRun of(String... arguments) {
    return of(new StopSignal(), arguments);
  }

  static CommandLineRun of(StopSignal stop, String... arguments) {
    CommandLine commands = Millrace.commands(stop);
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    commands.setOut(new PrintWriter(out, true));
    commands.setErr(new PrintWriter(err, true));
    int exitCode = commands.execute(arguments);
    return new CommandLineRun(exitCode, out.toString(), err.toString());
  }

  /** Ends so and has something to say, but no stack trace. */
  CommandLineRun assertFailed(int expectedCode) {
    assertThat(exitCode).as("exit code; out: %s err: %s", out, err).isEqualTo(expectedCode);
    assertThat(err).isNotBlank().doesNotContain("\tat ").doesNotContain("Exception");
    return this;
  }

  CommandLineRun assertDone() {
    assertThat(exitCode).as("exit code; out: %s err: %s", out, err).isEqualTo(ExitCode.DONE);
    assertThat(err).isEmpty();
    return this;
  }
}
