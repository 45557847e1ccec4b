package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.transfer.rpc.AgentClient;
import dev.millrace.transfer.rpc.Token;
import dev.millrace.transfer.rpc.v1.DescribeReply;
import io.vertx.core.Vertx;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AgentCommandTest {
  private static final String TOKEN = "0123456789abcdef";

  @TempDir private Path folder = Path.of("");

  private Path config(String text) throws IOException {
    Files.writeString(folder.resolve("agent.token"), TOKEN + "\n");
    Files.writeString(folder.resolve("transport.secret"), "a secret of this test\n");
    return Files.writeString(folder.resolve("agent.yaml"), text);
  }

  private static String text(int connectorVersion) {
    return """
    listen: {port: 0}
    token-file: agent.token
    secret-file: transport.secret
    memory: {budget: 64MiB, slab: 16MiB}
    models:
      tiny: {layers: 4, kv-heads: 4, head-size: 32, dtype: bf16}
    side-channels:
      - {address: "127.0.0.1:5600", model: tiny, connector-version: %d}
    """
        .formatted(connectorVersion);
  }

  @Test
  void agent_runsUntilStopped() throws Exception {
    Path file = config(text(14));
    Vertx vertx = Vertx.vertx();
    try (BackgroundCommand agent = BackgroundCommand.start("agent", "-c", file.toString())) {
      String line = agent.awaitOutput("side channels");
      assertThat(line)
          .startsWith("agent at 127.0.0.1:")
          .contains("transport tcp, 64 MiB for copies, 1 side channels");
      int port = Integer.parseInt(line.replaceAll("(?s).*127\\.0\\.0\\.1:(\\d+),.*", "$1"));

      DescribeReply described =
          new AgentClient(vertx, "127.0.0.1", port, Token.of(TOKEN))
              .describe(Duration.ofSeconds(20))
              .toCompletionStage()
              .toCompletableFuture()
              .get(20, TimeUnit.SECONDS);

      assertThat(described.getTransport()).isEqualTo("tcp");
      assertThat(described.getMemoryBudgetBytes()).isEqualTo(64 << 20);
      assertThat(agent.stop().assertDone().exitCode()).isEqualTo(ExitCode.DONE);
    } finally {
      Startup.closed(vertx.close());
    }
  }

  @Test
  void agent_wrongConfiguration_namesEveryMistake() throws Exception {
    Path file = config("transport: tpc\n");
    assertThat(CommandLineRun.of("agent", "-c", file.toString()).assertFailed(2).err())
        .contains("agent.yaml:1:12: transport: \"tpc\" is not tcp or nixl")
        .contains("\"token-file\" is missing")
        .contains("\"side-channels\" is missing");
  }

  @Test
  void agent_unknownConnectorVersion_listsTheKnown() throws Exception {
    Path file = config(text(99));
    assertThat(CommandLineRun.of("agent", "-c", file.toString()).assertFailed(2).err())
        .contains("127.0.0.1:5600")
        .contains("V14");
  }

  @Test
  void agent_tokenThatIsMissing_saysSo() throws Exception {
    Path file = config(text(14));
    Files.delete(folder.resolve("agent.token"));
    assertThat(CommandLineRun.of("agent", "-c", file.toString()).assertFailed(2).err())
        .contains("agent.token cannot be read");
  }
}
