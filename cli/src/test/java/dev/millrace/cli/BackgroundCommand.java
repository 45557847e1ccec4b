package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine;

/** A command that runs until it is stopped, on a thread of its own. */
final class BackgroundCommand implements AutoCloseable {
  private static final Duration LONGEST = Duration.ofSeconds(30);

  private final StopSignal stop = new StopSignal();
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();
  private final CompletableFuture<Integer> exitCode = new CompletableFuture<>();

  private BackgroundCommand(String... arguments) {
    CommandLine commands = Millrace.commands(stop);
    commands.setOut(new PrintWriter(out, true));
    commands.setErr(new PrintWriter(err, true));
    Thread.ofPlatform()
        .name("command")
        .start(() -> exitCode.completeAsync(() -> commands.execute(arguments), Runnable::run));
  }

  static BackgroundCommand start(String... arguments) {
    return new BackgroundCommand(arguments);
  }

  /** Waits until the output contains something, and returns the output. */
  String awaitOutput(String text) throws InterruptedException {
    Instant deadline = Instant.now().plus(LONGEST);
    while (!out.toString().contains(text)) {
      assertThat(exitCode).as("ended early: %s", err).isNotDone();
      assertThat(Instant.now()).as("output so far: %s", out).isBefore(deadline);
      Thread.sleep(10);
    }
    return out.toString();
  }

  /** Asks the command to end and waits until it has. */
  CommandLineRun stop() throws Exception {
    stop.give();
    int code = exitCode.get(LONGEST.toSeconds(), TimeUnit.SECONDS);
    return new CommandLineRun(code, out.toString(), err.toString());
  }

  @Override
  public void close() throws Exception {
    stop();
  }
}
