package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Deadlines;
import dev.millrace.router.http.WholeEvents;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A decode worker that fails: what may be tried again, and what the client hears. */
final class DecodeFaultTest {
  @RegisterExtension final Stage stage = new Stage();

  private static final Deadlines SOON_FIRST_TOKEN =
      new Deadlines(
          Duration.ofSeconds(9),
          Duration.ofMillis(150),
          Duration.ofSeconds(9),
          Duration.ofSeconds(9));
  private static final Deadlines SOON_NEXT_PIECE =
      new Deadlines(
          Duration.ofSeconds(9),
          Duration.ofSeconds(9),
          Duration.ofMillis(150),
          Duration.ofSeconds(9));

  private String handOffs() {
    String body = stage.get(stage.adminUrl("/pd/workers")).body();
    return body.substring(body.indexOf("\"hand_offs\""));
  }

  @Test
  void refused_theSameParametersGoToAnother() {
    ScriptedEngine p = stage.engine(Scripts.prefill());
    ScriptedEngine gone = stage.engine(Scripts.decode());
    URI nobody = gone.url();
    gone.close();
    ScriptedEngine good = stage.engine(Scripts.decode());
    stage.open(List.of(p.url()), List.of(nobody, good.url()), UnaryOperator.identity());

    HttpResponse<String> answer = stage.post("/v1/completions", Scripts.whole());

    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(p.requests()).as("the prompt is computed once").hasSize(1);
    assertThat(good.requests().getFirst().text()).contains(Scripts.PARAMETERS);
  }

  @Test
  void refusedByAll_is503AndTheBlocksAreLeftToTheirLease() {
    ScriptedEngine gone = stage.engine(Scripts.decode());
    gone.close();
    stage.open(stage.engine(Scripts.prefill()), gone);

    HttpResponse<String> answer = stage.post("/v1/completions", Scripts.whole());

    assertThat(answer.statusCode()).isEqualTo(503);
    assertThat(answer.body()).contains("\"code\":\"decode_unreachable\"");
    assertThat(handOffs()).contains("\"expired\":1");
  }

  @ParameterizedTest
  @ValueSource(strings = {"d_leg_p_dead_err_stream.http", "d_leg_p_dead_err_chat_stream.http"})
  void errorAsFirstEvent_isAnHonestStatus(String recording) throws Exception {
    ScriptedEngine p = stage.engine(Scripts.prefill());
    ScriptedEngine d =
        stage.engine(Scripts.butForReleases((request, wire) -> replay(wire, recording)));
    Router router = stage.open(p, d);

    HttpResponse<String> answer = stage.post("/v1/completions", Scripts.streamed());

    assertThat(answer.statusCode()).isEqualTo(500);
    assertThat(answer.headers().firstValue("content-type")).hasValue("application/json");
    assertThat(answer.body()).isEqualTo(Scripts.ERROR_BODY);
    Stage.await("the hand-off has ended", () -> router.occupancy().handOffs() == 0);
    assertThat(handOffs()).contains("\"released\":1");
    assertThat(p.requests()).as("there is no other pair to try").hasSize(1);
  }

  /** The recording is of curl, which takes the chunks apart: they are put together again. */
  private static void replay(ScriptedEngine.Wire wire, String recording)
      throws java.io.IOException {
    String all = Stage.recorded(recording).replace("\r\n", "\n");
    wire.streamHead().chunk(all.substring(all.indexOf("\n\n") + 2)).endChunks();
  }

  @Test
  void errorAsFirstEvent_withAnotherPair_isTriedWithANewPrefill() throws Exception {
    ScriptedEngine p = stage.engine(Scripts.prefill());
    ScriptedEngine bad =
        stage.engine(
            Scripts.butForReleases(
                (request, wire) -> replay(wire, "d_leg_p_dead_err_chat_stream.http")));
    ScriptedEngine good = stage.engine(Scripts.decode());
    Router router =
        stage.open(List.of(p.url()), List.of(bad.url(), good.url()), UnaryOperator.identity());

    HttpResponse<String> answer = stage.post("/v1/completions", Scripts.streamed());

    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(answer.body()).isEqualTo(Scripts.EVENT + Scripts.EVENT + Scripts.DONE);
    assertThat(p.requests()).as("used parameters are not used again").hasSize(2);
    Stage.await("all hand-offs have ended", () -> router.occupancy().handOffs() == 0);
    assertThat(handOffs()).contains("\"released\":1").contains("\"consumed\":1");
  }

  @Test
  void resetBeforeTheAnswer_withAnotherPair_isTriedWithANewPrefill() {
    ScriptedEngine p = stage.engine(Scripts.prefill());
    ScriptedEngine bad = stage.engine(Scripts.butForReleases((request, wire) -> wire.reset()));
    ScriptedEngine good = stage.engine(Scripts.decode());
    stage.open(List.of(p.url()), List.of(bad.url(), good.url()), UnaryOperator.identity());

    HttpResponse<String> answer = stage.post("/v1/completions", Scripts.whole());

    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(p.requests()).hasSize(2);
  }

  @Test
  void refusalByTheEngine_passesThroughAndNeedsNoRelease() {
    ScriptedEngine d =
        stage.engine((request, wire) -> wire.answer(400, Stage.recorded("error_reject.json")));
    stage.open(stage.engine(Scripts.prefill()), d);

    HttpResponse<String> answer = stage.post("/v1/completions", Scripts.whole());

    assertThat(answer.statusCode()).isEqualTo(400);
    assertThat(answer.body()).isEqualTo(Stage.recorded("error_reject.json"));
    assertThat(d.requests()).hasSize(1);
    assertThat(handOffs()).contains("\"released\":1");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "<html>sorry</html>",
        "{\"id\":\"x\"} {}",
        "{\"id\":",
      })
  void garbageInOnePiece_is502(String body) {
    stage.open(
        stage.engine(Scripts.prefill()),
        stage.engine(Scripts.butForReleases((request, wire) -> wire.answer(200, body))));

    HttpResponse<String> answer = stage.post("/v1/completions", Scripts.whole());

    assertThat(answer.statusCode()).isEqualTo(502);
    assertThat(answer.body()).contains("\"code\":\"decode_garbage\"");
  }

  @ParameterizedTest
  @ValueSource(strings = {"data: nonsense\n\n", "data: {\"a\":\n\n", ": only a comment\n\n", ""})
  void garbageAsAStream_is502(String events) {
    stage.open(
        stage.engine(Scripts.prefill()),
        stage.engine(
            Scripts.butForReleases((request, wire) -> {
              wire.streamHead();
              if (!events.isEmpty()) {
                wire.chunk(events);
              }
              wire.endChunks();
            })));

    HttpResponse<String> answer = stage.post("/v1/completions", Scripts.streamed());

    assertThat(answer.statusCode()).isEqualTo(502);
    assertThat(answer.body()).contains("\"code\":\"decode_garbage\"");
  }

  @Test
  void silence_is504AndResetsTheLeg() throws Exception {
    ScriptedEngine d =
        stage.engine(
            Scripts.butForReleases((request, wire) -> {
              wire.streamHead().chunk(Scripts.ROLE);
              wire.awaitGone();
            }));
    stage.open(
        List.of(stage.engine(Scripts.prefill()).url()),
        List.of(d.url()),
        route -> route.withDeadlines(SOON_FIRST_TOKEN));

    HttpResponse<String> answer = stage.post("/v1/completions", Scripts.streamed());

    assertThat(answer.statusCode()).isEqualTo(504);
    assertThat(answer.body()).contains("\"code\":\"decode_timeout\"");
  }

  @Test
  void silenceMidStream_endsWithAnErrorEvent() {
    ScriptedEngine d =
        stage.engine((request, wire) -> {
          wire.streamHead().chunk(Scripts.EVENT);
          wire.awaitGone();
        });
    stage.open(
        List.of(stage.engine(Scripts.prefill()).url()),
        List.of(d.url()),
        route -> route.withDeadlines(SOON_NEXT_PIECE));

    HttpResponse<String> answer = stage.post("/v1/completions", Scripts.streamed());

    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(answer.body())
        .startsWith(Scripts.EVENT + "data: {\"error\":{\"message\":\"The decode worker ")
        .endsWith("\"code\":\"decode_timeout\"}}\n\n");
  }

  @Test
  void deathMidStream_endsWithAnErrorEventAndIsNotTriedAgain() {
    ScriptedEngine p = stage.engine(Scripts.prefill());
    ScriptedEngine bad =
        stage.engine((request, wire) -> {
          wire.streamHead().chunk(Scripts.EVENT);
          wire.reset();
        });
    ScriptedEngine good = stage.engine(Scripts.decode());
    stage.open(List.of(p.url()), List.of(bad.url(), good.url()), UnaryOperator.identity());

    HttpResponse<String> answer = stage.post("/v1/completions", Scripts.streamed());

    assertThat(answer.body()).contains("\"code\":\"decode_broken\"");
    assertThat(p.requests()).hasSize(1);
    assertThat(good.requests()).isEmpty();
  }

  private HttpResponse<String> askAndDieBehind(String... pieces) {
    ScriptedEngine d =
        stage.engine((request, wire) -> {
          wire.streamHead();
          for (String piece : pieces) {
            wire.chunk(piece);
          }
          // A reset might overtake the pieces.
          wire.close();
        });
    stage.open(stage.engine(Scripts.prefill()), d);
    return stage.post("/v1/completions", Scripts.streamed());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "data: {\"choi",
        "data: {\"choices\":[{\"text\":\" w2\"}]}",
        "data: {\"choices\":[{\"text\":\" w2\"}]}\n",
        "event: x\r\ndata: {\"choi",
        "d"
      })
  void deathInTheMiddleOfAnEvent_showsNothingOfIt(String half) {
    HttpResponse<String> answer = askAndDieBehind(Scripts.EVENT, Scripts.EVENT + half);

    assertThat(answer.body())
        .startsWith(Scripts.EVENT + Scripts.EVENT + "data: {\"error\":{")
        .endsWith("\"code\":\"decode_broken\"}}\n\n");
  }

  @Test
  void deathInTheMiddleOfAHugeEvent_leavesTheErrorAnEventOfItsOwn() {
    String half = "data: " + "x".repeat(WholeEvents.MOST_HELD_BYTES);

    HttpResponse<String> answer = askAndDieBehind(Scripts.EVENT, half);

    assertThat(answer.body())
        .startsWith(Scripts.EVENT + half + "\n\ndata: {\"error\":{")
        .endsWith("\"code\":\"decode_broken\"}}\n\n");
  }

  @Test
  void clientThatDoesNotRead_isCutOffAndTheWorkerNotBlamed() throws Exception {
    String large = "data: {\"choices\":[{\"text\":\"" + "x".repeat(60_000) + "\"}]}\n\n";
    CountDownLatch reset = new CountDownLatch(1);
    ScriptedEngine d =
        stage.engine((request, wire) -> {
          wire.streamHead();
          try {
            for (int i = 0; i < 2000; i++) {
              wire.chunk(large);
            }
          } catch (IOException e) {
            reset.countDown();
            throw e;
          }
        });
    Router router =
        stage.open(
            List.of(stage.engine(Scripts.prefill()).url()),
            List.of(d.url()),
            route -> route.withDeadlines(SOON_NEXT_PIECE));
    try (RawClient client = stage.raw()) {
      client.send(RawClient.post("/v1/completions", Scripts.streamed())).readUntil("data: ");

      Stage.await("the exchange has ended", () -> router.occupancy().exchanges() == 0);

      assertThat(stage.get(stage.adminUrl("/pd/workers")).body())
          .doesNotContain("\"failed_legs\":1");
      assertThat(reset.await(10, TimeUnit.SECONDS)).isTrue();
    }
  }

  @Test
  void streamThatEndsLikeTheHiddenKeyBegins_isWhole() {
    String end = ": says \"kv_transfer";
    ScriptedEngine d =
        stage.engine((request, wire) -> {
          wire.streamHead().chunk(Scripts.EVENT).chunk(end).endChunks();
        });
    stage.open(stage.engine(Scripts.prefill()), d);

    assertThat(stage.post("/v1/completions", Scripts.streamed()).body())
        .isEqualTo(Scripts.EVENT + end);
  }

  @Test
  void releaseThatIsNotUnderstood_leavesTheBlocksToTheirLease() throws Exception {
    ScriptedEngine d =
        stage.engine((request, wire) ->
            wire.answer(request.text().contains("\"min_tokens\":2,") ? 401 : 500, "{}"));
    Router router = stage.open(stage.engine(Scripts.prefill()), d);

    assertThat(stage.post("/v1/completions", Scripts.whole()).statusCode()).isEqualTo(500);

    Stage.await("the hand-off has ended", () -> router.occupancy().handOffs() == 0);
    assertThat(handOffs()).contains("\"released\":0").contains("\"expired\":1");
  }

  @Test
  void parametersInAnError_neverReachTheClient() {
    stage.open(
        stage.engine((request, wire) ->
            wire.answer(400, "{\"kv_transfer_params\":{\"remote\":1},\"error\":{}}")),
        stage.engine(Scripts.decode()));

    HttpResponse<String> answer = stage.post("/v1/completions", Scripts.whole());

    assertThat(answer.statusCode()).isEqualTo(400);
    assertThat(answer.body()).isEqualTo("{\"error\":{}}");
  }

  @Test
  void totalDeadline_is504() {
    Deadlines total =
        new Deadlines(
            Duration.ofSeconds(5),
            Duration.ofSeconds(5),
            Duration.ofSeconds(5),
            Duration.ofMillis(150));
    ScriptedEngine d = stage.engine(Scripts.butForReleases((request, wire) -> wire.awaitGone()));
    stage.open(
        List.of(stage.engine(Scripts.prefill()).url()),
        List.of(d.url()),
        route -> route.withDeadlines(total));

    HttpResponse<String> answer = stage.post("/v1/completions", Scripts.whole());

    assertThat(answer.statusCode()).isEqualTo(504);
    assertThat(answer.body()).contains("\"code\":\"total_timeout\"");
  }

  @Test
  void parametersInTheAnswer_neverReachTheClient() {
    ScriptedEngine d =
        stage.engine((request, wire) ->
            wire.answer(200, "{\"id\" : \"x\" ,\"kv_transfer_params\":{\"remote\":1},\"m\":1e0}"));
    stage.open(stage.engine(Scripts.prefill()), d);

    assertThat(stage.post("/v1/completions", Scripts.whole()).body())
        .isEqualTo("{\"id\" : \"x\" ,\"m\":1e0}");
  }

  @Test
  void parametersInAStream_neverReachTheClient() {
    ScriptedEngine d =
        stage.engine((request, wire) ->
            wire.streamHead()
                .chunk(Scripts.EVENT)
                .chunk("data: {\"a\":1,\"kv_transf")
                .chunk("er_params\" : {\"remote\":\"}\\\"\"")
                .chunk(",\"x\":[1]},\"b\":2}\n\n" + Scripts.DONE)
                .endChunks());
    stage.open(stage.engine(Scripts.prefill()), d);

    assertThat(stage.post("/v1/completions", Scripts.streamed()).body())
        .isEqualTo(
            Scripts.EVENT
                + "data: {\"a\":1,\"kv_transfer_params\" : null,\"b\":2}\n\n"
                + Scripts.DONE);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"choices\":[{\"text\":\"\",\"finish_reason\":\"error\"}]}",
        "{\"choices\":[{\"text\":\"a\",\"finish_reason\":\"stop\"},{\"finish_reason\":\"error\"}]}",
        "{\"error\":{\"message\":\"no\",\"code\":500}}",
        "{\"object\":\"response\",\"status\":\"failed\"}",
      })
  void failureInTheClothesOfA200_isNotOne(String body) {
    ScriptedEngine d = stage.engine((request, wire) -> wire.answer(200, body));
    stage.open(stage.engine(Scripts.prefill()), d);

    HttpResponse<String> answer = stage.post("/v1/completions", Scripts.whole());

    assertThat(answer.statusCode()).isEqualTo(502);
    assertThat(answer.body()).contains("decode_garbage").contains("status 200, although it");
  }

  @Test
  void streamThatBeginsWithAFailedChoice_isNotA200() {
    ScriptedEngine d =
        stage.engine((request, wire) ->
            wire.streamHead()
                .chunk("data: {\"choices\":[{\"text\":\"\",\"finish_reason\":\"error\"}]}\n\n")
                .endChunks());
    stage.open(stage.engine(Scripts.prefill()), d);

    assertThat(stage.post("/v1/completions", Scripts.streamed()).statusCode()).isEqualTo(502);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "data: {\"error\": {\"message\": \"no\", \"code\": 500}}\n\n",
        "event: error\ndata: {\"type\":\"error\",\"error\":{}}\n\n",
        "data: {\"choices\":[{\"text\":\"\",\"finish_reason\": \"error\"}]}\n\n",
      })
  void errorMidStream_isOnTheRecord(String event) {
    ScriptedEngine d =
        stage.engine((request, wire) ->
            wire.streamHead().chunk(Scripts.EVENT).chunk(event).chunk(Scripts.DONE).endChunks());
    stage.open(stage.engine(Scripts.prefill()), d);

    HttpResponse<String> answer =
        stage.post("/v1/completions", Scripts.streamed(), "x-request-id", "r");

    assertThat(answer.body()).isEqualTo(Scripts.EVENT + event + Scripts.DONE);
    assertThat(stage.record("r").encode()).contains("\"ending\":\"StreamedError\"");
  }

  @Test
  void wordErrorInAnAnswer_isNone() {
    String event =
        "data: {\"choices\":[{\"text\":\" \\\"error\\\":{\",\"logprobs\":{\"tokens\":[\"error\"],\"top_logprobs\":[{\"error\":-1}]}}]}\n\n";
    ScriptedEngine d =
        stage.engine((request, wire) ->
            wire.streamHead().chunk(Scripts.EVENT).chunk(event).chunk(Scripts.DONE).endChunks());
    stage.open(stage.engine(Scripts.prefill()), d);

    stage.post("/v1/completions", Scripts.streamed(), "x-request-id", "r");

    assertThat(stage.record("r").encode()).contains("\"ending\":\"Streamed\"");
  }
}
