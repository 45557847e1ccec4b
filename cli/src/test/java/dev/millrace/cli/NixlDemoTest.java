package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.transfer.nixl.Nixl;
import dev.millrace.transfer.nixl.NixlSettings;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.io.TempDir;

/** Engines and an agent in processes of their own, which move blocks with NIXL. */
class NixlDemoTest {
  private static final Duration LONG = Duration.ofSeconds(60);

  /** Skips a test where there is no library, and prints why. */
  static final class WhereInstalled implements ExecutionCondition {
    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
      return switch (Nixl.load(NixlSettings.DEFAULT)) {
        case Nixl.Present _ -> ConditionEvaluationResult.enabled("NIXL is installed");
        case Nixl.Absent(String reason, String remedy) -> {
          String why = "SKIPPED %s: %s; %s".formatted(context.getDisplayName(), reason, remedy);
          System.err.println(why);
          yield ConditionEvaluationResult.disabled(why);
        }
      };
    }
  }

  @Nested
  @ExtendWith(WhereInstalled.class)
  class Installed {
    @Test
    void once_nixlItselfCountsTheBytes() {
      CommandLineRun run =
          CommandLineRun.of(
              "demo", "--transport", "nixl", "--once", "Hello", "--port", "0", "--admin-port", "0");

      assertThat(run.exitCode()).as(run.toString()).isEqualTo(ExitCode.DONE);
      assertThat(run.out())
          .contains("equal to the aggregated answer: yes")
          .containsPattern("agent +http://127.0.0.1:\\d+")
          .containsPattern(
              "moved: ([1-9]\\d*) bytes in [\\s\\S]*NIXL [0-9.]+ by its own telemetry: \\1 bytes in [1-9]\\d* descriptors");
    }

    @Test
    void anEngineIsKilled_itIsStartedAgainAndServes() throws Exception {
      StringWriter said = new StringWriter();
      try (Demo demo = Demo.start(nixl(), new PrintWriter(said, true));
          HttpJson http = new HttpJson()) {
        List<Child> children = ((EnginesApart) demo.engines()).children();
        assertThat(children).hasSize(3);
        for (Child child : children) {
          long before = child.pid();
          ProcessHandle.of(before).orElseThrow().destroyForcibly();
          await("another process", () -> child.pid() != before);
        }
        assertThat(said.toString()).contains("prefill-1 | has ended with exit code 137");

        await("an answer over NIXL", () -> isAnsweredOverNixl(demo, http));
      }
    }

    private static DemoSetup nixl() {
      DemoSetup small = TestDemos.small();
      return new DemoSetup(
          TransportChoice.NIXL, small.prefill(), small.decode(), 1, 1, 0, 0, Duration.ZERO);
    }

    /** Until the engines are back, requests fail. */
    private static boolean isAnsweredOverNixl(Demo demo, HttpJson http) {
      try {
        BlocksRead before = demo.blocksRead(http);
        HttpJson.Answer answer =
            http.post(
                demo.routerUrl().resolve("/v1/chat/completions"),
                DemoRequest.chat("Hello again", 4),
                "again");
        return answer.status() == 200
            && demo.blocksRead(http).since(before).byLibrary().orElseThrow().bytes() > 0;
      } catch (Failure notYet) {
        return false;
      }
    }

    @Test
    void theDemoIsKilled_itsChildrenEnd() throws Exception {
      Process demo =
          new ProcessBuilder(
                  OwnCommand.with(
                      List.of("demo", "--transport", "nixl", "--port", "0", "--admin-port", "0")))
              .redirectError(ProcessBuilder.Redirect.INHERIT)
              .start();
      List<ProcessHandle> children = new ArrayList<>();
      try (BufferedReader out =
          new BufferedReader(
              new InputStreamReader(demo.getInputStream(), StandardCharsets.UTF_8))) {
        String line = out.readLine();
        while (line != null && !line.contains("\"stream\":true")) {
          line = out.readLine();
        }
        demo.descendants().forEach(children::add);
        assertThat(children).hasSize(3);
      } finally {
        demo.destroyForcibly();
      }

      await("the end of all children", () -> children.stream().noneMatch(ProcessHandle::isAlive));
    }
  }

  @Test
  void notInstalled_aUsageErrorThatNamesTheScript(@TempDir Path empty) throws Exception {
    for (String command :
        new String[] {
          "simulate --role both --port 0 --transport nixl",
          "demo --once Hello --port 0 --admin-port 0 --transport nixl"
        }) {
      ProcessBuilder builder =
          new ProcessBuilder(OwnCommand.with(Arrays.asList(command.split(" ", -1))));
      builder.environment().put("MILLRACE_NIXL_HOME", empty.toString());
      CommandLineRun run = run(builder).assertFailed(ExitCode.USAGE);

      assertThat(run.err()).contains(empty.toString()).contains("scripts/fetch-nixl.sh");
    }
  }

  private static CommandLineRun run(ProcessBuilder builder) throws Exception {
    Process process = builder.start();
    process.getOutputStream().close();
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    String err = new String(process.getErrorStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor(LONG.toSeconds(), TimeUnit.SECONDS)).isTrue();
    return new CommandLineRun(process.exitValue(), out, err);
  }

  private static void await(String what, BooleanSupplier condition)
      throws InterruptedException, IOException {
    Instant deadline = Instant.now().plus(LONG);
    while (!condition.getAsBoolean()) {
      assertThat(Instant.now()).as(what).isBefore(deadline);
      Thread.sleep(20);
    }
  }
}
