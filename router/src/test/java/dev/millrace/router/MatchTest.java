package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Match;
import dev.millrace.router.http.Api;
import io.vertx.core.json.JsonObject;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.FieldSource;

/** Which route takes a request: by model, path and headers. */
final class MatchTest {
  static final List<String> PATHS = Match.PATHS;

  @RegisterExtension final Stage stage = new Stage();

  private final Pooled pooled = new Pooled(stage);

  @ParameterizedTest
  @CsvSource({
    "llama-70b, llama-70b",
    "llama-70b-it, llama-70b-a",
    "llama-8b, llama-b",
    "qwen, other",
  })
  void mostSpecificPattern_takesTheRequest(String asked, String pool) throws Exception {
    pooled
        .with("other", "llama-b", "llama-70b-a", "llama-70b")
        .open(
            "match: {model: '*'}, decode: {pool: other}",
            "match: {model: 'llama-*'}, decode: {pool: llama-b}",
            "match: {model: 'llama-70b-*'}, decode: {pool: llama-70b-a}",
            "match: {model: llama-70b}, decode: {pool: llama-70b}");

    assertThat(pooled.served(pooled.ask("/v1/completions", asked, "x-request-id", "one")))
        .isEqualTo(pool);
    assertThat(pooled.engine(pool).requests().getFirst().text())
        .as("engines are asked for what the client named")
        .contains("\"model\":\"" + asked + "\"");
    assertThat(stage.record("one").getString("model")).isEqualTo(asked);
  }

  @ParameterizedTest
  @CsvSource({
    "/v1/chat/completions, acme, both",
    "/v1/completions, acme, header",
    "/v1/chat/completions, other, path",
    "/v1/completions, other, plain",
    "/v1/completions, ACME, plain",
  })
  void moreConditions_areTriedFirst(String path, String tenant, String route) throws Exception {
    pooled
        .with("m")
        .open(
            "match: {model: m}, name: plain, decode: {pool: m}",
            "match: {model: m, paths: [/v1/chat/completions]}, name: path, decode: {pool: m}",
            "match: {model: m, headers: {X-Tenant: acme}}, name: header, decode: {pool: m}",
            "match: {model: m, headers: {x-tenant: acme}, paths: [/v1/chat/completions]}, name: both,"
                + " decode: {pool: m}");

    pooled.served(pooled.ask(path, "m", "x-TENANT", tenant, "x-request-id", "one"));

    assertThat(stage.record("one").getString("route")).isEqualTo(route);
    assertThat(stage.get(stage.adminUrl("/metrics")).body())
        .contains("millrace_route_exchanges{route=\"" + route + "\"} 0");
  }

  @Test
  void conditionsThatDoNotHold_areAnsweredLikeAModelThatIsNotThere() throws Exception {
    pooled
        .with("secret")
        .open("match: {model: secret, headers: {x-tenant: acme}}, decode: {pool: secret}");

    HttpResponse<String> of = pooled.ask("/v1/messages", "secret", "x-request-id", "r");
    HttpResponse<String> none = pooled.ask("/v1/messages", "nosuch", "x-request-id", "r");

    assertThat(of.statusCode()).isEqualTo(404);
    assertThat(new JsonObject(of.body()).getJsonObject("error").getString("code"))
        .isEqualTo("model_not_found");
    assertThat(new JsonObject(of.body()).getString("type")).isEqualTo("error");
    assertThat(of.body().replace("secret", "nosuch")).isEqualTo(none.body());
    assertThat(pooled.asked()).isEmpty();
  }

  @Test
  void headerThatIsThereTwice_isNoGroundToTakeARequest() throws Exception {
    pooled.with("m").open("match: {model: m, headers: {x-tenant: acme}}, decode: {pool: m}");

    assertThat(
            pooled.ask("/v1/completions", "m", "x-tenant", "acme", "x-tenant", "acme").statusCode())
        .isEqualTo(404);
    assertThat(pooled.served(pooled.ask("/v1/completions", "m", "x-tenant", "acme")))
        .isEqualTo("m");
  }

  @Test
  void modelsOfOthers_areNotListed() throws Exception {
    pooled
        .with("m", "secret", "llama-1")
        .open(
            "match: {model: m, paths: [/v1/completions]}, decode: {pool: m}",
            "match: {model: 'llama-*'}, decode: {pool: llama-1}",
            "match: {model: secret, headers: {x-tenant: acme}}, decode: {pool: secret}");

    assertThat(listed()).containsExactly("m", "llama-1");
    assertThat(listed("x-tenant", "acme")).containsExactly("m", "llama-1", "secret");
    assertThat(stage.get(stage.url("/v1/models/secret")).statusCode()).isEqualTo(404);
    assertThat(stage.get(stage.url("/v1/models/llama-2")).body()).contains("\"id\":\"llama-2\"");
    assertThat(stage.get(stage.url("/v1/models/qwen")).statusCode()).isEqualTo(404);
  }

  private List<String> listed(String... headers) {
    HttpRequest.Builder request = HttpRequest.newBuilder(stage.url("/v1/models"));
    if (headers.length > 0) {
      request.headers(headers);
    }
    return new JsonObject(stage.send(request.build()).body())
        .getJsonArray("data").stream().map(card -> ((JsonObject) card).getString("id")).toList();
  }

  @ParameterizedTest
  @FieldSource("PATHS")
  void pathOfATable_isAnEndpoint(String path) {
    Api api = Api.at(path);

    assertThat(api).isNotNull();
    assertThat(Objects.requireNonNull(api).path()).isEqualTo(path);
  }

  @Test
  void endpoints_canAllBeMatched() {
    assertThat(Arrays.stream(Api.values()).map(Api::path))
        .containsExactlyInAnyOrderElementsOf(Match.PATHS);
  }
}
