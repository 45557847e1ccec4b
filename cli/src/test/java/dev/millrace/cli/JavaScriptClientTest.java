package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/**
 * The official JavaScript client against a demo. It runs where Node.js and npm are, and where the
 * client can be installed; elsewhere it says why it does not.
 */
class JavaScriptClientTest {
  private static final Path SOURCES = Path.of("src/test/js");
  private static final Path WORK = Path.of("target/js");
  private static final List<String> FILES =
      List.of("package.json", "package-lock.json", "client.mjs");

  private record Ran(int exitCode, String output) {}

  @Test
  void officialClient_againstADemo_isContent() throws Exception {
    requireTool("node");
    requireTool("npm");
    install();
    try (Demo demo = TestDemos.start(TestDemos.small())) {
      Ran client = run(60, "node", "client.mjs", demo.routerUrl() + "/v1", DemoSetup.MODEL);

      assertThat(client.exitCode()).as(client.output()).isZero();
      assertThat(client.output().lines().filter(line -> line.startsWith("ok "))).hasSize(5);
      assertThat(TestDemos.blocksRead(demo).bytes()).isPositive();
      TestDemos.assertNothingIsLeft(demo, Instant.now().plus(Duration.ofSeconds(10)));
    }
  }

  private static void requireTool(String tool) throws Exception {
    Ran version;
    try {
      version = run(20, tool, "--version");
    } catch (IOException e) {
      version = new Ran(127, e.toString());
    }
    skipUnless(version.exitCode() == 0, "%s is not there: %s".formatted(tool, version.output()));
  }

  private static void install() throws Exception {
    Files.createDirectories(WORK);
    for (String file : FILES) {
      Files.copy(SOURCES.resolve(file), WORK.resolve(file), StandardCopyOption.REPLACE_EXISTING);
    }
    Ran installed = run(120, "npm", "ci", "--no-audit", "--no-fund", "--prefer-offline");
    skipUnless(installed.exitCode() == 0, "npm ci failed: " + installed.output());
  }

  private static void skipUnless(boolean condition, String reason) {
    if (!condition) {
      System.out.println("The JavaScript client is not tested: " + reason);
    }
    assumeTrue(condition, reason);
  }

  private static Ran run(int limitSeconds, String... command) throws Exception {
    Files.createDirectories(WORK);
    Path output = WORK.resolve(command[0] + ".log");
    Process process =
        new ProcessBuilder(command)
            .directory(WORK.toFile())
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    try {
      boolean ended = process.waitFor(limitSeconds, TimeUnit.SECONDS);
      String text = Files.readString(output);
      return ended ? new Ran(process.exitValue(), text) : new Ran(124, "ran too long\n" + text);
    } finally {
      process.descendants().forEach(ProcessHandle::destroyForcibly);
      process.destroyForcibly();
    }
  }
}
