package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ServeCommandTest {
  private static final String TABLE =
      """
      listen: {port: PORT, event-loops: 1}
      admin: {port: 0}
      pools:
        p: {role: prefill, model: llama, engine: vllm, workers: [{url: "http://127.0.0.1:1"}]}
        d: {role: decode, model: llama, engine: vllm, workers: [{url: "http://127.0.0.1:2"}]}
      routes:
        - match: {model: llama}
          prefill: {pool: p}
          decode: {pool: d}
      """;

  @TempDir Path folder;

  @Test
  void serve_runsUntilStopped() throws Exception {
    try (BackgroundCommand router = BackgroundCommand.start("serve", "-c", table(0))) {
      String out = router.awaitOutput("admin on http://");
      String url = out.replaceAll("(?s).*listening on (http://[0-9.:]+).*", "$1");
      String admin = out.replaceAll("(?s).*admin on (http://[0-9.:]+).*", "$1");

      assertThat(Http.get(admin + "/livez")).isEqualTo(200);
      assertThat(Http.get(url + "/v1/unknown")).isEqualTo(404);

      router.stop().assertDone();
      assertThat(Http.isListening(url)).isFalse();
    }
  }

  @Test
  void serve_takesOverAFileThatTheTableNames() throws Exception {
    Path workers = Files.writeString(folder.resolve("workers.yaml"), "[]");
    String table = table(0);
    Files.writeString(
        Path.of(table),
        Files.readString(Path.of(table))
            .replace("workers: [{url: \"http://127.0.0.1:2\"}]", "workers-file: workers.yaml"));
    try (BackgroundCommand router = BackgroundCommand.start("serve", "-c", table)) {
      String out = router.awaitOutput("admin on http://");
      String admin = out.replaceAll("(?s).*admin on (http://[0-9.:]+).*", "$1");

      Files.writeString(workers, "[{url: \"http://127.0.0.1:3\"}]");

      router.awaitOutput("workers.yaml has changed; what the table says now is in force");
      assertThat(Http.text(admin + "/pd/workers")).contains("http://127.0.0.1:3");

      Files.writeString(workers, "[{url: 3}]");

      router.awaitOutput("workers.yaml:1:8: [0].url: \"3\" is not an http(s) URL");
      router.stop().assertDone();
    }
  }

  @Test
  void serve_badTable_reportsItsMistakes() throws Exception {
    Path file = Files.writeString(folder.resolve("bad.yaml"), "routes: 1\n");

    assertThat(CommandLineRun.of("serve", "-c", file.toString()).assertFailed(2).err())
        .contains(file + ":1:1: \"pools\" is missing")
        .contains(file + ":1:9: routes: is \"1\", should be a list");
  }

  @Test
  void serve_noTable_isAUsageError() {
    assertThat(CommandLineRun.of("serve").assertFailed(2).err()).contains("--config");
  }

  @Test
  void serve_portTaken_isAUsageError() throws Exception {
    try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      CommandLineRun run =
          CommandLineRun.of("serve", "-c", table(taken.getLocalPort())).assertFailed(2);

      assertThat(run.err())
          .contains("127.0.0.1:" + taken.getLocalPort())
          .contains("is the port taken?");
    }
  }

  private String table(int port) throws Exception {
    return Files.writeString(folder.resolve("routes.yaml"), TABLE.replace("PORT", "" + port))
        .toString();
  }
}
