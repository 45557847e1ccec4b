package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.config.Listen;
import dev.millrace.router.access.Keys;
import dev.millrace.router.access.SignedTokens;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** Clients that show a token of an issuer that is believed. */
final class TokensTest {
  private static final String ME = "me@example.com";

  @RegisterExtension final Stage stage = new Stage();
  @TempDir Path folder;
  private final SignedTokens issuer;

  TokensTest() throws Exception {
    this.issuer = new SignedTokens();
  }

  private ScriptedEngine open(String jwks) throws Exception {
    Files.writeString(folder.resolve("jwks.json"), jwks);
    Path keys =
        Files.writeString(
            folder.resolve("keys.yaml"),
            """
            tokens: {jwks-file: jwks.json, issuer: "%s", audience: %s}
            keys:
              - {name: mine, subject: %s, models: [tiny], concurrent: 3}
              - {name: by-key, sha256: %s}
            """
                .formatted(SignedTokens.ISSUER, SignedTokens.AUDIENCE, ME, Keys.hash("mr-key")));
    ScriptedEngine prefill = stage.engine(Scripts.prefill());
    stage.open(
        List.of(prefill.url()),
        List.of(stage.engine(Scripts.decode()).url()),
        UnaryOperator.identity(),
        Listen.defaults().withPort(0).withEventLoops(1).withKeysFile(keys));
    return prefill;
  }

  private HttpResponse<String> ask(String token) {
    return stage.post(
        "/v1/completions",
        Scripts.whole(),
        "authorization",
        "Bearer " + token,
        "x-request-id",
        "r");
  }

  @Test
  void subjectThatIsListed_isServed_asOftenAsItShowsItsToken() throws Exception {
    ScriptedEngine prefill = open(issuer.jwks());
    String token = issuer.token(SignedTokens.claims(ME));

    for (int i = 0; i < 3; i++) {
      assertThat(ask(token).statusCode()).isEqualTo(200);
    }

    assertThat(stage.record("r").getString("key")).isEqualTo("mine");
    assertThat(prefill.requests().getFirst().headers()).doesNotContainKey("authorization");
    assertThat(ask("mr-key").statusCode()).isEqualTo(200);
  }

  @Test
  void tokenAmongSeveralAudiences_isBelieved() throws Exception {
    open(issuer.jwks());
    JsonObject claims =
        SignedTokens.claims(ME).put("aud", new JsonArray().add("x").add(SignedTokens.AUDIENCE));

    assertThat(ask(issuer.token(claims)).statusCode()).isEqualTo(200);
  }

  @Test
  void whatIsNotBelieved_isRefusedWithTheReason() throws Exception {
    ScriptedEngine prefill = open(issuer.jwks());
    JsonObject mine = SignedTokens.claims(ME);
    long now = Instant.now().getEpochSecond();
    String good = issuer.token(mine);

    refused(issuer.token(SignedTokens.claims("you@example.com")), "subject is not listed");
    refused(new SignedTokens().token(mine), "The token is not believed");
    refused(SignedTokens.forged(good, SignedTokens.claims(ME).put("x", 1)), "not believed");
    refused(issuer.token(mine.copy().put("exp", now - 60)), "expired");
    refused(issuer.token(mine.copy().put("nbf", now + 600)), "not believed");
    refused(issuer.token(mine.copy().put("iss", "https://elsewhere")), "issuer");
    refused(issuer.token(mine.copy().put("aud", "another-service")), "audience");
    refused(issuer.token(without(mine, "aud")), "audience");
    refused(issuer.token(without(mine, "exp")), "when it ends");
    refused(issuer.token(without(mine, "sub")), "who it is of");
    refused(
        SignedTokens.unsigned(issuer.token(mine, head -> head.put("alg", "none"))), "algorithm");
    refused(issuer.token(mine, head -> head.put("alg", "HS256")), "algorithm");
    refused("a.b.c", "algorithm");
    refused("..", "no such key");

    assertThat(prefill.requests()).isEmpty();
  }

  private static JsonObject without(JsonObject claims, String name) {
    JsonObject rest = claims.copy();
    rest.remove(name);
    return rest;
  }

  private void refused(String token, String why) {
    HttpResponse<String> answer = ask(token);
    assertThat(answer.statusCode()).as("%s: %s", why, answer.body()).isEqualTo(401);
    assertThat(answer.body()).contains(why);
    assertThat(answer.headers().firstValue("www-authenticate")).contains("Bearer");
  }

  @Test
  void keysThatAreNone_areSaidAtTheStart() {
    assertThatThrownBy(() -> open("{\"keys\": []}")).hasStackTraceContaining("no public key");
    assertThatThrownBy(() -> open("{\"keys\": [{\"kty\": \"oct\", \"k\": \"c2VjcmV0\"}]}"))
        .hasStackTraceContaining("no public key");
    assertThatThrownBy(() -> open("<html>")).hasStackTraceContaining("is not JSON");
  }
}
