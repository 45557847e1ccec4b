package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.config.Listen;
import dev.millrace.config.Tls;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpClientRequest;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.http.HttpConnection;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpVersion;
import io.vertx.core.http.PoolOptions;
import io.vertx.core.http.StreamResetException;
import io.vertx.core.net.PemTrustOptions;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** Many exchanges on one connection, which have nothing to do with each other. */
final class Http2Test {
  private static final int MOST_BODY_BYTES = 64 << 10;

  @RegisterExtension final Stage stage = new Stage();
  private final Set<HttpConnection> connections = ConcurrentHashMap.newKeySet();

  private final List<HttpClient> clients = new ArrayList<>();

  @AfterEach
  void disconnect() throws Exception {
    for (HttpClient client : clients) {
      assertThat(client.close().await(10, TimeUnit.SECONDS)).isNull();
    }
  }

  private static Path file(String name) throws Exception {
    return Path.of(Objects.requireNonNull(Http2Test.class.getResource("/tls/" + name)).toURI());
  }

  private HttpClient open(ScriptedEngine prefill, ScriptedEngine decode) throws Exception {
    stage.open(
        List.of(prefill.url()),
        List.of(decode.url()),
        UnaryOperator.identity(),
        Listen.defaults()
            .withPort(0)
            .withEventLoops(1)
            .withMaxBodyBytes(MOST_BODY_BYTES)
            .withTls(new Tls(file("certificate.pem"), file("key.pem"))));
    HttpClient client =
        stage
            .vertx()
            .httpClientBuilder()
            .with(
                new HttpClientOptions()
                    .setSsl(true)
                    .setUseAlpn(true)
                    .setProtocolVersion(HttpVersion.HTTP_2)
                    .setTrustOptions(
                        new PemTrustOptions().addCertPath(file("certificate.pem").toString())))
            .with(new PoolOptions().setHttp2MaxSize(1))
            .withConnectHandler(connections::add)
            .build();
    clients.add(client);
    return client;
  }

  private HttpClientRequest request(HttpClient client) throws Exception {
    return client
        .request(HttpMethod.POST, stage.router().port(), "localhost", "/v1/completions")
        .await(10, TimeUnit.SECONDS)
        .putHeader("content-type", "application/json");
  }

  private record Answer(int status, HttpVersion version, String text) {}

  /**
   * What is to be done with the answer is said before it can come, or its first pieces get lost.
   */
  private static Future<Answer> sent(HttpClientRequest request, String body) {
    Future<Answer> answer =
        request
            .response()
            .compose(response ->
                response
                    .body()
                    .map(text ->
                        new Answer(response.statusCode(), response.version(), text.toString())));
    Future<Void> _ = request.end(Buffer.buffer(body));
    return answer;
  }

  private Answer ask(HttpClient client, String body) throws Exception {
    return sent(request(client), body).await(10, TimeUnit.SECONDS);
  }

  @Test
  void answers_areThoseOfHttp1() throws Exception {
    HttpClient client = open(stage.engine(Scripts.prefill()), stage.engine(Scripts.decode()));

    assertThat(ask(client, Scripts.whole()))
        .isEqualTo(new Answer(200, HttpVersion.HTTP_2, Scripts.ANSWER));
    assertThat(ask(client, Scripts.streamed()))
        .isEqualTo(
            new Answer(200, HttpVersion.HTTP_2, Scripts.EVENT + Scripts.EVENT + Scripts.DONE));
    assertThat(ask(client, "{}").status()).isEqualTo(400);
    assertThat(connections).hasSize(1);
  }

  @Test
  void manyAtOnce_shareAConnection() throws Exception {
    HttpClient client = open(stage.engine(Scripts.prefill()), stage.engine(Scripts.decode()));
    Answer first = ask(client, Scripts.streamed());
    List<Future<Answer>> all = new ArrayList<>();

    for (int i = 0; i < 50; i++) {
      all.add(sent(request(client), Scripts.streamed()));
    }

    for (Future<Answer> each : all) {
      assertThat(each.await(20, TimeUnit.SECONDS)).isEqualTo(first);
    }
    assertThat(connections).hasSize(1);
  }

  @Test
  void clientThatGivesUpAStream_leavesOnlyThat() throws Exception {
    CountDownLatch going = new CountDownLatch(1);
    ScriptedEngine decode =
        stage.engine((request, wire) -> {
          if (request.text().contains("\"max_tokens\":99")) {
            wire.streamHead().chunk(Scripts.EVENT);
            going.countDown();
            wire.awaitGone();
          } else {
            Scripts.decode().play(request, wire);
          }
        });
    HttpClient client = open(stage.engine(Scripts.prefill()), decode);
    HttpClientRequest leaving = request(client);
    HttpClientResponse streaming =
        leaving
            .send(Buffer.buffer(Scripts.streamed().replace(":3,", ":99,")))
            .await(10, TimeUnit.SECONDS);
    assertThat(streaming.statusCode()).isEqualTo(200);
    assertThat(going.await(10, TimeUnit.SECONDS)).isTrue();

    assertThat(leaving.reset(8).await(10, TimeUnit.SECONDS)).isNull();

    Stage.await("the engine is told", () -> stage.router().occupancy().isIdle());
    assertThat(ask(client, Scripts.whole()).status()).isEqualTo(200);
    assertThat(connections).hasSize(1);
  }

  @Test
  void bodyThatIsTooLarge_isRefusedWithoutHarmToOthers() throws Exception {
    HttpClient client = open(stage.engine(Scripts.prefill()), stage.engine(Scripts.decode()));

    HttpClientRequest large = request(client).setChunked(true);
    Future<Integer> status = large.response().map(HttpClientResponse::statusCode);
    Future<Void> _ = large.write(Buffer.buffer(new byte[2 * MOST_BODY_BYTES]));

    assertThat(status.await(10, TimeUnit.SECONDS)).isEqualTo(413);
    assertThat(ask(client, Scripts.whole()).status()).isEqualTo(200);
    assertThat(connections).hasSize(1);
  }

  @Test
  void hostThatIsNotTheAuthority_isRefused() throws Exception {
    HttpClient client = open(stage.engine(Scripts.prefill()), stage.engine(Scripts.decode()));

    Future<Answer> answer = sent(request(client).putHeader("host", "elsewhere"), Scripts.whole());

    assertThatThrownBy(() -> answer.await(10, TimeUnit.SECONDS))
        .isInstanceOfSatisfying(
            StreamResetException.class, reset -> assertThat(reset.getCode()).isEqualTo(1));
    assertThat(ask(client, Scripts.whole()).status()).isEqualTo(200);
  }

  @Test
  void engineThatDiesAmidAStream_isHeardOfInThatStream() throws Exception {
    ScriptedEngine decode =
        stage.engine((request, wire) -> {
          if (request.text().contains("\"max_tokens\":99")) {
            wire.streamHead().chunk(Scripts.EVENT).reset();
          } else {
            Scripts.decode().play(request, wire);
          }
        });
    HttpClient client = open(stage.engine(Scripts.prefill()), decode);

    Answer answer = ask(client, Scripts.streamed().replace(":3,", ":99,"));

    assertThat(answer.status()).isEqualTo(200);
    assertThat(answer.text()).contains("\"error\"");
    assertThat(ask(client, Scripts.whole()).status()).isEqualTo(200);
    assertThat(connections).hasSize(1);
  }
}
