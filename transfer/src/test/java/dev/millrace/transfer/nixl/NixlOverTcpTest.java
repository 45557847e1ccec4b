package dev.millrace.transfer.nixl;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The contract and the faults over UCX's TCP. What UCX may use is decided once per process, so they
 * run in another one; a crash of NIXL is a failure here and not the end of all tests.
 */
@NixlInstalled
class NixlOverTcpTest {
  private static final Pattern COUNTS =
      Pattern.compile(OverTcp.SUMMARY + " (\\d+) passed (\\d+) failed (\\d+) skipped");

  @Test
  void contractAndFaults_overTcp_hold(@TempDir Path folder)
      throws IOException, InterruptedException {
    Path output = folder.resolve("output");
    ProcessBuilder builder =
        new ProcessBuilder(
            List.of(
                System.getProperty("java.home") + "/bin/java",
                "--enable-native-access=ALL-UNNAMED",
                "-Xmx1g",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-XX:-CreateCoredumpOnCrash",
                "-XX:ErrorFile=" + folder.resolve("crash"),
                "-cp",
                System.getProperty("java.class.path"),
                OverTcp.class.getName()));
    builder.environment().put("UCX_TLS", "tcp");
    Process process = builder.redirectErrorStream(true).redirectOutput(output.toFile()).start();
    try {
      assertThat(process.waitFor(180, TimeUnit.SECONDS)).as("ended in time").isTrue();
    } finally {
      process.destroyForcibly().waitFor();
    }

    String text = Files.readString(output);
    text.lines().filter(line -> line.startsWith(OverTcp.SUMMARY)).forEach(System.out::println);
    assertThat(process.exitValue()).as(text).isZero();
    Matcher counts = COUNTS.matcher(text);
    assertThat(counts.find()).as(text).isTrue();
    assertThat(Integer.parseInt(counts.group(1))).isGreaterThan(60);
    assertThat(Integer.parseInt(counts.group(2))).isZero();
    assertThat(Integer.parseInt(counts.group(3))).isZero();
  }
}
