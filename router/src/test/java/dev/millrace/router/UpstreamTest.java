package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.config.Loaded;
import dev.millrace.config.RoutingTables;
import io.vertx.core.http.ClientAuth;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.net.PemKeyCertOptions;
import io.vertx.core.net.PemTrustOptions;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** What workers are shown: a token instead of the client's, and a certificate. */
final class UpstreamTest {
  @RegisterExtension final Stage stage = new Stage();
  @TempDir Path folder;

  @BeforeEach
  void putFiles() throws Exception {
    for (String name :
        new String[] {"certificate.pem", "renewed.pem", "router.pem", "router-key.pem"}) {
      Files.copy(
          Path.of(Objects.requireNonNull(UpstreamTest.class.getResource("/tls/" + name)).toURI()),
          folder.resolve(name));
    }
    Files.writeString(folder.resolve("token"), "first-token\n");
  }

  private static String file(String name) throws Exception {
    return Path.of(Objects.requireNonNull(UpstreamTest.class.getResource("/tls/" + name)).toURI())
        .toString();
  }

  private void open(String workerUrl, String upstream) throws Exception {
    Path table = folder.resolve("routes.yaml");
    Files.writeString(
        table,
        """
        listen: {port: 0, event-loops: 1}
        admin: {port: 0}
        pools:
          w: {role: both, model: tiny, engine: millrace-sim, upstream: %s, workers: [{url: "%s"}]}
        routes:
          - {match: {model: tiny}, decode: {pool: w}, verify: trust}
        """
            .formatted(upstream, workerUrl));
    switch (RoutingTables.read(table)) {
      case Loaded.Valid valid -> stage.open(valid.table(), () -> RoutingTables.read(table));
      case Loaded.Invalid invalid -> throw new AssertionError(invalid.complaints().toString());
    }
  }

  private HttpResponse<String> ask() {
    return stage.post(
        "/v1/completions", Scripts.whole(), "authorization", "Bearer the-clients-own");
  }

  private static String authorization(ScriptedEngine engine) {
    return String.valueOf(engine.requests().getLast().headers().get("authorization"));
  }

  @Test
  void token_isShownInsteadOfTheClients_andItsFileIsReadAgainWithTheTable() throws Exception {
    ScriptedEngine worker = stage.engine(Scripts.decode());
    open(worker.url().toString(), "{token-file: token}");

    assertThat(ask().statusCode()).isEqualTo(200);
    assertThat(authorization(worker)).isEqualTo("Bearer first-token");

    Files.writeString(folder.resolve("token"), "second-token");
    HttpResponse<String> reloaded = stage.post(stage.adminUrl("/pd/reload"), "");
    assertThat(reloaded.body()).contains("\"reloaded\":true");
    assertThat(ask().statusCode()).isEqualTo(200);
    assertThat(authorization(worker)).isEqualTo("Bearer second-token");
    assertThat(stage.get(stage.adminUrl("/pd/config")).body())
        .contains("token-file")
        .doesNotContain("second-token");
  }

  @Test
  void withoutOne_theClientsPasses() throws Exception {
    ScriptedEngine worker = stage.engine(Scripts.decode());
    open(worker.url().toString(), "{}");

    assertThat(ask().statusCode()).isEqualTo(200);
    assertThat(authorization(worker)).isEqualTo("Bearer the-clients-own");
  }

  @Test
  void tokenThatIsNone_isSaidAtTheStart() throws Exception {
    Files.writeString(folder.resolve("token"), "two words");

    assertThatThrownBy(() -> open("http://127.0.0.1:1", "{token-file: token}"))
        .hasStackTraceContaining("pools.w.upstream:")
        .hasStackTraceContaining("holds no token; put the one there that the workers ask for");
    assertThatThrownBy(() -> open("http://127.0.0.1:1", "{token-file: nowhere}"))
        .hasStackTraceContaining("cannot be read");
    assertThatThrownBy(() -> open("http://127.0.0.1:1", "{tls: {authorities: token}}"))
        .hasStackTraceContaining("cannot be used");
  }

  /** A worker that serves those who show the router's certificate, and says who they are. */
  private String strictWorker() throws Exception {
    HttpServer worker =
        stage
            .vertx()
            .createHttpServer(
                new HttpServerOptions()
                    .setSsl(true)
                    .setClientAuth(ClientAuth.REQUIRED)
                    .setKeyCertOptions(
                        new PemKeyCertOptions()
                            .addCertPath(file("certificate.pem"))
                            .addKeyPath(file("key.pem")))
                    .setTrustOptions(new PemTrustOptions().addCertPath(file("router.pem"))))
            .requestHandler(request ->
                request
                    .body()
                    .onSuccess(body ->
                        request
                            .response()
                            .putHeader("content-type", "application/json")
                            .end(Scripts.ANSWER)))
            .listen(0, "127.0.0.1")
            .await(10, TimeUnit.SECONDS);
    stage.closing(() -> worker.close().await(10, TimeUnit.SECONDS));
    return "https://127.0.0.1:" + worker.actualPort();
  }

  @Test
  void workerThatAsksForACertificate_isShownIt() throws Exception {
    open(
        strictWorker(),
        "{tls: {authorities: certificate.pem, certificate: router.pem, key: router-key.pem}}");

    HttpResponse<String> answer = ask();

    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
  }

  @Test
  void workerThatAsksForOne_doesNotServeWhoHasNone() throws Exception {
    open(strictWorker(), "{tls: {authorities: certificate.pem}}");

    assertThat(ask().statusCode()).isBetween(502, 503);
  }

  @Test
  void workerThatNobodyVouchesFor_getsNothing() throws Exception {
    open(
        strictWorker(),
        "{tls: {authorities: renewed.pem, certificate: router.pem, key: router-key.pem}}");

    HttpResponse<String> answer = ask();

    assertThat(answer.statusCode()).as(answer.body()).isBetween(502, 503);
  }
}
