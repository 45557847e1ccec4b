package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConfigCommandTest {
  private static final String TABLE =
      """
      pools:
        p: {role: prefill, model: llama, engine: vllm, workers: [{url: "http://a:1"}]}
        d: {role: decode, model: llama, engine: vllm, workers: [{url: "http://b:1"}, {url: "http://c:1"}]}
      routes:
        - match: {model: llama}
          prefill: {pool: p}
          decode: {pool: d}
      """;

  @TempDir Path folder;

  @Test
  void validate_goodTable_saysWhatIsInIt() throws IOException {
    Path file = Files.writeString(folder.resolve("routes.yaml"), TABLE);

    assertThat(CommandLineRun.of("config", "validate", file.toString()).assertDone().out())
        .isEqualTo(file + ": valid; 1 route, 2 pools, 3 workers" + System.lineSeparator());
  }

  @Test
  void validate_badTable_reportsEveryMistake() throws IOException {
    Path file =
        Files.writeString(
            folder.resolve("routes.yaml"),
            TABLE.replace("http://b:1", "htp://b:1").replace("pool: p}", "pool: q}"));

    assertThat(CommandLineRun.of("config", "validate", file.toString()).assertFailed(2).err())
        .startsWith("millrace: 2 mistakes in " + file)
        .contains(file + ":3:65: pools.d.workers[0].url: \"htp://b:1\" is not an http(s) URL")
        .contains(file + ":6:21: routes[0].prefill.pool: there is no pool \"q\"");
  }

  @Test
  void validate_anAgentsConfiguration_isReadAsOne() throws IOException {
    String text =
        """
        token-file: agent.token
        secret-file: transport.secret
        models: {tiny: {layers: 4, kv-heads: 4, head-size: 32, dtype: bf16}}
        side-channels: [{address: "127.0.0.1:5600", model: tiny, connector-version: 14}]
        """;
    Path good = Files.writeString(folder.resolve("agent.yaml"), text);
    Path bad =
        Files.writeString(
            folder.resolve("wrong.yaml"), text.replace("model: tiny", "model: tinny") + "hald: 3s");

    assertThat(CommandLineRun.of("config", "validate", good.toString()).assertDone().out())
        .contains("valid; an agent with 1 model, 1 side channel, which only reads");
    assertThat(CommandLineRun.of("config", "validate", bad.toString()).assertFailed(2).err())
        .startsWith("millrace: 2 mistakes in " + bad)
        .contains("there is no model \"tinny\"")
        .contains("hald");
  }

  @Test
  void validate_noFile_isAConfigurationError() {
    String file = folder.resolve("none.yaml").toString();

    assertThat(CommandLineRun.of("config", "validate", file).assertFailed(2).err())
        .contains("there is no such file");
  }

  @Test
  void schema_isOfWhatIsAskedFor() {
    String table = CommandLineRun.of("config", "schema").assertDone().out();

    assertThat(new JsonObject(table).getString("$schema"))
        .isEqualTo("https://json-schema.org/draft/2020-12/schema");
    assertThat(properties(table)).contains("listen", "routes");
    assertThat(properties(CommandLineRun.of("config", "schema", "--agent").assertDone().out()))
        .contains("side-channels");
    assertThat(properties(CommandLineRun.of("config", "schema", "--keys").assertDone().out()))
        .containsExactlyInAnyOrder("keys", "tokens");
    assertThat(CommandLineRun.of("config", "schema", "--keys", "--agent").assertFailed(2).err())
        .contains("one at a time");
  }

  private static Set<String> properties(String schema) {
    return new JsonObject(schema).getJsonObject("properties").fieldNames();
  }

  @Test
  void docs_rewritesTables() throws IOException {
    Path page =
        Files.writeString(
            folder.resolve("page.md"), "a\n<!-- keys: admin -->\n<!-- end of keys -->\n");
    Path wrong =
        Files.writeString(folder.resolve("wrong.md"), "<!-- keys: x -->\n<!-- end of keys -->\n");

    CommandLineRun.of("config", "docs", page.toString()).assertDone();

    assertThat(page).content().startsWith("a\n").contains("| `port` | 0 to 65535 | `9090` |");
    assertThat(CommandLineRun.of("config", "docs", wrong.toString()).assertFailed(2).err())
        .contains("wrong.md cannot be rewritten: there is no table \"x\"");
  }

  @Test
  void config_withoutSubcommand_isAUsageError() {
    assertThat(CommandLineRun.of("config").assertFailed(2).err()).contains("validate");
  }
}
