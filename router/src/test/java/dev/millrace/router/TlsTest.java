package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.config.Admin;
import dev.millrace.config.EngineKind;
import dev.millrace.config.Listen;
import dev.millrace.config.Loaded;
import dev.millrace.config.Pairing;
import dev.millrace.config.Pool;
import dev.millrace.config.Role;
import dev.millrace.config.Route;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.Tls;
import dev.millrace.config.Verify;
import dev.millrace.config.WorkerAddress;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.List;
import java.util.Objects;
import java.util.function.UnaryOperator;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.TrustManagerFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The public port by TLS, with a certificate for localhost. */
final class TlsTest {
  @RegisterExtension final Stage stage = new Stage();

  private static Path file(String name) throws Exception {
    return Path.of(Objects.requireNonNull(TlsTest.class.getResource("/tls/" + name)).toURI());
  }

  private void open() throws Exception {
    stage.open(
        List.of(stage.engine(Scripts.prefill()).url()),
        List.of(stage.engine(Scripts.decode()).url()),
        UnaryOperator.identity(),
        Listen.defaults()
            .withPort(0)
            .withEventLoops(2)
            .withTls(new Tls(file("certificate.pem"), file("key.pem"))));
  }

  private static SSLContext trusting() throws Exception {
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null, null);
    try (InputStream in = TlsTest.class.getResourceAsStream("/tls/certificate.pem")) {
      store.setCertificateEntry(
          "router", CertificateFactory.getInstance("X.509").generateCertificate(in));
    }
    TrustManagerFactory trust =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(store);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, trust.getTrustManagers(), null);
    return context;
  }

  private HttpResponse<String> ask(SSLContext context, String protocol) throws Exception {
    SSLParameters parameters = new SSLParameters();
    parameters.setProtocols(new String[] {protocol});
    try (HttpClient client =
        HttpClient.newBuilder().sslContext(context).sslParameters(parameters).build()) {
      return client.send(
          HttpRequest.newBuilder(
                  URI.create("https://localhost:" + stage.router().port() + "/v1/completions"))
              .header("content-type", "application/json")
              .POST(HttpRequest.BodyPublishers.ofString(Scripts.whole()))
              .build(),
          HttpResponse.BodyHandlers.ofString());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"TLSv1.2", "TLSv1.3"})
  void clientThatTrustsTheCertificate_isServed(String protocol) throws Exception {
    open();

    HttpResponse<String> answer = ask(trusting(), protocol);

    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    assertThat(answer.version()).isEqualTo(HttpClient.Version.HTTP_2);
  }

  @Test
  void certificateThatWasRenewed_isShownAfterAReload(@TempDir Path folder) throws Exception {
    Path shown = folder.resolve("shown.pem");
    Path key = folder.resolve("key.pem");
    Files.copy(file("renewed.pem"), shown);
    Files.copy(file("renewed-key.pem"), key);
    RoutingTable table =
        RoutingTable.of(
            Listen.defaults().withPort(0).withEventLoops(2).withTls(new Tls(shown, key)),
            Admin.defaults().withPort(0),
            List.of(
                Pool.of(
                    "w",
                    Role.BOTH,
                    Stage.MODEL,
                    EngineKind.MILLRACE_SIM,
                    List.of(WorkerAddress.of(stage.engine(Scripts.decode()).url())))),
            List.of(),
            List.of(
                Route.aggregated(Stage.MODEL, dev.millrace.config.Stage.roundRobin("w"))
                    .withPairing(Pairing.defaults().withVerify(Verify.TRUST))));
    stage.open(table, () -> new Loaded.Valid(table));
    assertThatThrownBy(() -> ask(trusting(), "TLSv1.3")).isInstanceOf(IOException.class);

    Files.copy(file("certificate.pem"), shown, StandardCopyOption.REPLACE_EXISTING);
    Files.copy(file("key.pem"), key, StandardCopyOption.REPLACE_EXISTING);
    assertThat(stage.post(stage.adminUrl("/pd/reload"), "").body()).contains("\"reloaded\":true");

    Stage.await(
        "the other certificate is shown",
        () -> {
          try {
            return ask(trusting(), "TLSv1.3").statusCode() == 200;
          } catch (IOException e) {
            return false;
          } catch (Exception e) {
            throw new AssertionError(e);
          }
        });
  }

  @Test
  void clientThatDoesNot_isNot() throws Exception {
    open();

    assertThatThrownBy(() -> ask(SSLContext.getDefault(), "TLSv1.3"))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("certification path");
  }

  @Test
  void clientInTheClear_isNotServed() throws Exception {
    open();

    assertThatThrownBy(() -> stage.post("/v1/completions", Scripts.whole()))
        .hasCauseInstanceOf(IOException.class);
  }
}
