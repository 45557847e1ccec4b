package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Deadlines;
import dev.millrace.config.Retries;
import java.net.URI;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.List;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A prefill worker that fails before the hand-off: another one takes over, or the client hears. */
final class PrefillFaultTest {
  @RegisterExtension final Stage stage = new Stage();

  private HttpResponse<String> postPast(ScriptedEngine.Script fault) {
    ScriptedEngine bad = stage.engine(fault);
    ScriptedEngine good = stage.engine(Scripts.prefill());
    ScriptedEngine d = stage.engine(Scripts.decode());
    stage.open(List.of(bad.url(), good.url()), List.of(d.url()), UnaryOperator.identity());
    HttpResponse<String> answer = stage.post("/v1/completions", Scripts.whole());
    assertThat(bad.requests()).as("the first is asked first").hasSize(1);
    return answer;
  }

  private static void assertAnswered(HttpResponse<String> answer) {
    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(answer.body()).isEqualTo(Scripts.ANSWER);
  }

  @Test
  void reset_triesAnother() {
    assertAnswered(postPast((request, wire) -> wire.reset()));
  }

  @Test
  void closedHalfWay_triesAnother() {
    assertAnswered(
        postPast((request, wire) -> {
          wire.send("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"id\"");
          wire.close();
        }));
  }

  @ParameterizedTest
  @ValueSource(ints = {500, 502, 503})
  void serverError_triesAnother(int status) {
    assertAnswered(postPast(Scripts.error(status)));
  }

  @Test
  void garbage_triesAnother() {
    assertAnswered(postPast((request, wire) -> wire.answer(200, "<html>")));
  }

  @Test
  void noHttp_triesAnother() {
    assertAnswered(
        postPast((request, wire) -> {
          wire.send("SSH-2.0-OpenSSH_9.2\r\n\r\n");
          wire.awaitGone();
        }));
  }

  @Test
  void refused_triesAnother() {
    ScriptedEngine gone = stage.engine(Scripts.prefill());
    URI nobody = gone.url();
    gone.close();
    ScriptedEngine good = stage.engine(Scripts.prefill());
    ScriptedEngine d = stage.engine(Scripts.decode());
    stage.open(List.of(nobody, good.url()), List.of(d.url()), UnaryOperator.identity());

    assertAnswered(stage.post("/v1/completions", Scripts.whole()));
  }

  @Test
  void refusedByAll_is503AndSaysWho() {
    ScriptedEngine gone = stage.engine(Scripts.prefill());
    gone.close();
    stage.open(gone, stage.engine(Scripts.decode()));

    HttpResponse<String> answer =
        stage.post("/v1/completions", Scripts.whole(), "x-request-id", "q1");

    assertThat(answer.statusCode()).isEqualTo(503);
    assertThat(answer.body())
        .startsWith("{\"error\":{\"message\":\"The prefill worker " + gone.url())
        .contains("(request q1)")
        .endsWith("\"type\":\"server_error\",\"param\":null,\"code\":\"prefill_unreachable\"}}");
    assertThat(answer.headers().firstValue("retry-after")).hasValue("1");
    assertThat(answer.headers().firstValue("x-request-id")).hasValue("q1");
  }

  @Test
  void clientError_passesThroughByteForByte() {
    ScriptedEngine p =
        stage.engine((request, wire) -> wire.answer(400, Stage.recorded("error_reject.json")));
    ScriptedEngine other = stage.engine(Scripts.prefill());
    ScriptedEngine d = stage.engine(Scripts.decode());
    stage.open(List.of(p.url(), other.url()), List.of(d.url()), UnaryOperator.identity());

    HttpResponse<String> answer = stage.post("/v1/completions", Scripts.whole());

    assertThat(answer.statusCode()).isEqualTo(400);
    assertThat(answer.body()).isEqualTo(Stage.recorded("error_reject.json"));
    assertThat(other.requests()).isEmpty();
    assertThat(d.requests()).isEmpty();
  }

  @Test
  void lateEverywhere_is504AndResetsEachLeg() throws Exception {
    ScriptedEngine slow = stage.engine((request, wire) -> wire.awaitGone());
    ScriptedEngine alsoSlow = stage.engine((request, wire) -> wire.awaitGone());
    Deadlines quick =
        new Deadlines(
            Duration.ofMillis(100),
            Duration.ofSeconds(5),
            Duration.ofSeconds(5),
            Duration.ofSeconds(9));
    stage.open(
        List.of(slow.url(), alsoSlow.url()),
        List.of(stage.engine(Scripts.decode()).url()),
        route -> route.withDeadlines(quick));

    HttpResponse<String> answer = stage.post("/v1/completions", Scripts.whole());

    assertThat(answer.statusCode()).isEqualTo(504);
    assertThat(answer.body()).contains("\"code\":\"prefill_timeout\"");
    Stage.await(
        "both legs are closed", () -> slow.openConnections() + alsoSlow.openConnections() == 0);
    assertThat(slow.requests()).hasSize(1);
    assertThat(alsoSlow.requests()).hasSize(1);
    assertThat(stage.get(stage.adminUrl("/pd/workers")).body().split("\"failed_legs\":1", -1))
        .as("legs that were cut off by their deadline have failed")
        .hasSize(3);
  }

  @Test
  void retriesAreBounded() {
    ScriptedEngine one = stage.engine(Scripts.error(500));
    ScriptedEngine two = stage.engine(Scripts.error(500));
    ScriptedEngine three = stage.engine(Scripts.error(500));
    stage.open(
        List.of(one.url(), two.url(), three.url()),
        List.of(stage.engine(Scripts.decode()).url()),
        route -> route.withRetries(new Retries(1, 1, 10)));

    HttpResponse<String> answer = stage.post("/v1/completions", Scripts.whole());

    assertThat(answer.statusCode()).isEqualTo(500);
    assertThat(answer.body()).isEqualTo(Scripts.ERROR_BODY);
    assertThat(one.requests().size() + two.requests().size() + three.requests().size())
        .isEqualTo(2);
  }

  @Test
  void idleConnectionClosedUnderTheRequest_isTriedOnceMoreOnTheSameWorker() {
    ScriptedEngine p =
        stage.engine((request, wire) -> {
          if (request.ofConnection() == 2) {
            wire.close();
          } else {
            wire.answer(200, Scripts.PREFILLED);
          }
        });
    Router router = stage.open(p, stage.engine(Scripts.decode()), 1);

    assertAnswered(stage.post("/v1/completions", Scripts.whole()));
    assertAnswered(stage.post("/v1/completions", Scripts.whole()));

    assertThat(p.requests()).hasSize(3);
    assertThat(p.connections()).isEqualTo(2);
    assertThat(router.occupancy().legs()).isZero();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"kv_transfer_params\":{\"do_remote_prefill\":true,\"remote_block_ids\":[]}}",
        "{\"kv_transfer_params\":{\"do_remote_prefill\":true,\"remote_block_ids\":[1,2],"
            + "\"remote_engine_id\":\"e\",\"remote_request_id\":\"r\",\"remote_host\":\"h\",\"remote_port\":1}}",
        "{\"kv_transfer_params\":{\"do_remote_prefill\":true,\"remote_block_ids\":[[1]],"
            + "\"remote_engine_id\":\"e\",\"remote_host\":\"h\",\"remote_port\":1}}",
        "{\"kv_transfer_params\":\"x\"}",
      })
  void parametersThatWouldHarmAnEngine_areNotPassedOn(String answerOfP) {
    ScriptedEngine d = stage.engine(Scripts.decode());
    stage.open(stage.engine((request, wire) -> wire.answer(200, answerOfP)), d);

    assertAnswered(stage.post("/v1/completions", Scripts.whole()));

    assertThat(d.requests().getFirst().text()).isEqualTo(Scripts.whole());
    assertThat(stage.get(stage.adminUrl("/pd/workers")).body())
        .contains("\"unusable\":1")
        .contains("\"expired\":1");
  }

  @Test
  void withoutParameters_decodeComputesByItself() {
    ScriptedEngine d = stage.engine(Scripts.decode());
    stage.open(
        stage.engine((request, wire) -> wire.answer(200, "{\"kv_transfer_params\":null}")), d);

    assertAnswered(stage.post("/v1/completions", Scripts.whole()));

    assertThat(d.requests().getFirst().text()).isEqualTo(Scripts.whole());
  }
}
