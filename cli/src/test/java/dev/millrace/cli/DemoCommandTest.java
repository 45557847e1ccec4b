package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.simulator.Misbehaviour;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

class DemoCommandTest {
  private static final String[] ANY_PORTS = {"--port", "0", "--admin-port", "0"};

  @Test
  void once_provesTheAnswer() {
    String out = CommandLineRun.of(demo("--once", "Hello")).assertDone().out();

    assertThat(out)
        .contains("tp=1,block=16,layout=hnd")
        .contains("tp=2,block=32,layout=hnd")
        .containsPattern("answer: \\S+")
        .contains("equal to the aggregated answer: yes")
        .containsPattern("moved: ([1-9]\\d*) bytes in [1-9]\\d* runs .*planned: \\1 bytes")
        .contains("where the time went:")
        .containsPattern("hand-off .* ms +█")
        .containsPattern("total +[0-9.]+ ms")
        .containsPattern("(?s)moved: (\\d+) bytes.* reports \\1 bytes read in [0-9.]+ ms");
  }

  @Test
  void once_maxTokens_setsTheLength() {
    String out = CommandLineRun.of(demo("--once", "Hello", "--max-tokens", "3")).assertDone().out();

    assertThat(out).containsPattern("answer:( \\S+){3}\\R");
  }

  @Test
  void once_mlaAndManyEngines_provesTheAnswer() {
    CommandLineRun.of(
            demo(
                "--once",
                "Hello",
                "--mla",
                "--prefill-tp",
                "2",
                "--prefill-count",
                "2",
                "--decode-count",
                "2"))
        .assertDone();
  }

  @ParameterizedTest
  @ValueSource(strings = {"--window=20", "--state=mamba2:8:4:4:8"})
  void once_severalCacheGroups_provesTheAnswer(String groups) {
    String out =
        CommandLineRun.of(demo("--once", "Hello", "--max-tokens", "30", groups)).assertDone().out();

    assertThat(out).containsPattern("moved: ([1-9]\\d*) bytes");
  }

  @Test
  void once_oneByteIsWrong_isNotSo() {
    CommandLineRun run =
        tamperedWith(demo ->
            TestDemos.engines(demo)
                .simulatedDecode()
                .forEach(e -> e.misbehave(new Misbehaviour.CorruptByte())));

    assertThat(run.exitCode()).isEqualTo(ExitCode.NOT_SO);
    assertThat(run.out())
        .contains("equal to the aggregated answer: no")
        .containsPattern("aggregated answer: \\S+");
  }

  @Test
  void once_engineRefuses_isNotSoWithItsAnswer() {
    CommandLineRun run =
        tamperedWith(demo ->
            TestDemos.engines(demo)
                .simulatedDecode()
                .forEach(e -> e.misbehave(new Misbehaviour.Refuse(418))));

    run.assertFailed(ExitCode.NOT_SO);
    assertThat(run.err()).contains("answered 418");
  }

  /** Runs {@code demo --once} after something has been done to it. */
  private static CommandLineRun tamperedWith(Consumer<Demo> tamper) {
    StopSignal stop = new StopSignal();
    CommandLine command = Millrace.explaining(new CommandLine(new DemoCommand(stop, tamper)));
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    command.setOut(new PrintWriter(out, true));
    command.setErr(new PrintWriter(err, true));
    int exitCode = command.execute("--once", "Hello", "--port", "0", "--admin-port", "0");
    return new CommandLineRun(exitCode, out.toString(), err.toString());
  }

  @Test
  void demo_runsUntilStopped_withALineToCopy() throws Exception {
    try (BackgroundCommand demo = BackgroundCommand.start(demo())) {
      String out = demo.awaitOutput("\"stream\":true");
      String router = out.replaceAll("(?s).*router +(http://[0-9.:]+).*", "$1");
      String admin = out.replaceAll("(?s).*admin +(http://[0-9.:]+).*", "$1");
      assertThat(out).contains("curl -N " + router + "/v1/chat/completions");

      assertThat(Http.get(router + "/v1/models")).isEqualTo(200);
      assertThat(Http.get(admin + "/livez")).isEqualTo(200);

      demo.stop().assertDone();
      assertThat(Http.isListening(router)).isFalse();
      assertThat(Http.isListening(admin)).isFalse();
    }
  }

  @Test
  void demo_askedPortTaken_isAUsageError() throws Exception {
    try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      String port = Integer.toString(taken.getLocalPort());

      CommandLineRun run =
          CommandLineRun.of("demo", "--once", "Hello", "--port", port, "--admin-port", "0")
              .assertFailed(ExitCode.USAGE);

      assertThat(run.err()).contains("port " + port).contains("is the port taken?");
    }
  }

  @ParameterizedTest
  @CsvSource({
    "auto, 64, hnd, 32, nhd, relay",
    "auto, 64, nhd, 32, nhd, bridge",
    "relay, 16, hnd, 32, hnd, relay",
  })
  void demo_enginesThatVllmKeepsApart_areBroughtTogether(
      String transfer, String block, String layout, String toBlock, String toLayout, String way) {
    CommandLineRun run =
        CommandLineRun.of(
            "demo",
            "--transfer",
            transfer,
            "--prefill-block",
            block,
            "--prefill-layout",
            layout,
            "--decode-tp",
            "1",
            "--decode-block",
            toBlock,
            "--decode-layout",
            toLayout,
            "--once",
            "Hello, this prompt is long enough to have a block and a bit of each size",
            "--port",
            "0",
            "--admin-port",
            "0");

    assertThat(run.exitCode()).as(run.toString()).isEqualTo(ExitCode.DONE);
    assertThat(run.out())
        .contains("equal to the aggregated answer: yes")
        .containsPattern("way +.*: " + way);
  }

  @ParameterizedTest
  @CsvSource({
    "--transport, smoke, '[TCP, NIXL]'",
    "--transfer, relais, '[ENGINE, BRIDGE, RELAY, AUTO]'",
    "--prefill-layout, hmd, is not a layout",
    "--decode-tp, 3, 4 KV heads do not divide among 3",
    "--decode-block, 0, decode engine",
    "--decode-count, 0, must be at least 1",
    "--max-tokens, 0, must be at least 1",
    "--port, 65536, must be 0 to 65535",
  })
  void demo_badOption_isAUsageError(String option, String value, String complaint) {
    CommandLineRun run = CommandLineRun.of("demo", "--once", "Hello", option, value);

    assertThat(run.assertFailed(ExitCode.USAGE).err()).contains(complaint);
  }

  private static String[] demo(String... more) {
    String[] arguments = new String[1 + ANY_PORTS.length + more.length];
    arguments[0] = "demo";
    System.arraycopy(ANY_PORTS, 0, arguments, 1, ANY_PORTS.length);
    System.arraycopy(more, 0, arguments, 1 + ANY_PORTS.length, more.length);
    return arguments;
  }
}
