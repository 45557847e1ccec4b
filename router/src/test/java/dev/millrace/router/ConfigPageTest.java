package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.AgentAddress;
import dev.millrace.config.Declared;
import dev.millrace.config.WorkerAddress;
import dev.millrace.layout.compatibility.ConnectorConfig;
import dev.millrace.layout.compatibility.Fact;
import io.vertx.core.json.JsonObject;
import java.net.URI;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** What operators see of the routing table that a router goes by. */
final class ConfigPageTest {
  @RegisterExtension final Stage stage = new Stage();
  @TempDir Path folder;

  @Test
  void config_hasTheDefaultsAndNoSecrets() throws Exception {
    String token = "0123456789abcdef";
    Path file = Files.writeString(folder.resolve("agent.token"), token);
    ConnectorConfig connector =
        ConnectorConfig.named("NixlConnector")
            .withExtra("store", "redis://me:hidden@cache:6379")
            .withExtra("api_token", "hidden");
    WorkerAddress prefill =
        WorkerAddress.of(
            stage.engine(Scripts.prefill()).url(),
            Optional.empty(),
            Declared.nothing().with(Fact.CONNECTOR, connector, "t:1:1"));
    stage.open(
        prefill,
        stage.engine(Scripts.decode()).url(),
        new AgentAddress(URI.create("http://127.0.0.1:1"), file));

    HttpResponse<String> answer = stage.get(stage.adminUrl("/pd/config"));

    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(answer.headers().firstValue("content-type")).contains("application/json");
    assertThat(answer.body()).doesNotContain("hidden").doesNotContain(token);
    JsonObject config = new JsonObject(answer.body());
    assertThat(config.getJsonObject("listen").getString("max-body")).isEqualTo("16MiB");
    assertThat(config.getJsonArray("agents").getJsonObject(0).getMap())
        .isEqualTo(Map.of("url", "http://127.0.0.1:1", "token-file", file.toString()));
    assertThat(config.getJsonArray("routes").getJsonObject(0).getJsonObject("deadlines").getMap())
        .containsEntry("total", "10m");
    assertThat(config.encode())
        .contains("redis://***@cache:6379")
        .contains("\"api_token\":\"***\"");
  }
}
