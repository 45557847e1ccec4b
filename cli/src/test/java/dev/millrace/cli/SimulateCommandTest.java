package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.GeometryText;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

class SimulateCommandTest {
  @Test
  void simulate_runsUntilStopped() throws Exception {
    try (BackgroundCommand engine =
        BackgroundCommand.start("simulate", "--role", "prefill", "--port", "0")) {
      String line = engine.awaitOutput("side channel ");
      assertThat(line).startsWith("prefill engine of model tiny at http://127.0.0.1:");
      String url = line.replaceAll("(?s).* at (http://[^ ,]+).*", "$1");

      assertThat(Http.get(url + "/health")).isEqualTo(200);

      assertThat(engine.stop().assertDone().exitCode()).isEqualTo(ExitCode.DONE);
      assertThat(Http.isListening(url)).isFalse();
    }
  }

  @Test
  void simulate_portTaken_isAUsageError() throws IOException {
    try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      String port = Integer.toString(taken.getLocalPort());

      assertThat(
              CommandLineRun.of("simulate", "--role", "both", "--port", port).assertFailed(2).err())
          .contains("127.0.0.1:" + port)
          .contains("is the port taken?");
    }
  }

  @Test
  void simulate_noRole_isAUsageError() {
    assertThat(CommandLineRun.of("simulate").assertFailed(2).err()).contains("--role");
  }

  @Test
  void simulate_unknownLayout_listsTheKnown() {
    CommandLineRun run =
        CommandLineRun.of("simulate", "--role", "both", "--layout", "hmd").assertFailed(2);

    assertThat(run.err())
        .contains("\"hmd\" is not a layout")
        .contains("hnd")
        .contains("cross-layer");
  }

  @Test
  void simulate_headsThatDoNotDivide_isAUsageError() {
    CommandLineRun.of("simulate", "--role", "both", "--tp", "3", "--kv-heads", "4").assertFailed(2);
  }

  @Test
  void simulate_portOutOfRange_isAUsageError() {
    CommandLineRun.of("simulate", "--role", "both", "--port", "70000").assertFailed(2);
  }

  @Test
  void simulate_noBlocks_isAUsageError() {
    CommandLineRun.of("simulate", "--role", "both", "--blocks", "0").assertFailed(2);
  }

  @Test
  void simulate_sideChannelPortTaken_isAUsageError() throws IOException {
    try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      String port = Integer.toString(taken.getLocalPort());

      assertThat(
              CommandLineRun.of(
                      "simulate", "--role", "both", "--port", "0", "--side-channel-port", port)
                  .assertFailed(ExitCode.USAGE)
                  .err())
          .contains("127.0.0.1:" + port);
    }
  }

  @Test
  void simulate_unknownTransport_listsTheKnown() {
    CommandLineRun run =
        CommandLineRun.of("simulate", "--role", "both", "--transport", "smoke").assertFailed(2);

    assertThat(run.err()).contains("TCP, NIXL").contains("smoke");
  }

  /** What the demo starts engines with says the same geometry again. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "tp=2,block=32,layout=nhd,blocks=9,layers=3,heads=2,head-size=8,dtype=fp16",
        "block=16,blocks=9,layers=3,latent=24",
        "block=16,blocks=9,layers=3,heads=2,head-size=8,window=7",
        "block=16,blocks=12,layers=1,heads=2,head-size=8,state=gdn:2:2:8:8,state-layers=2,state-dtype=fp32,conv=2"
      })
  void flags_ofAGeometry_makeItAgain(String text) {
    GeometrySpec spec = GeometryText.parse(text);
    SimulateCommand command = new SimulateCommand(new StopSignal());
    CommandLine line = new CommandLine(command);
    List<String> flags = new ArrayList<>(ShapeOptions.flags(spec));
    flags.add("--role=both");
    line.setCaseInsensitiveEnumValuesAllowed(true);
    line.parseArgs(flags.toArray(String[]::new));

    assertThat(command.config().geometry()).isEqualTo(spec);
  }
}
