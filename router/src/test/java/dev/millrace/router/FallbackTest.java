package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Loaded;
import dev.millrace.config.RoutingTable;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.net.http.HttpResponse;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Where requests go that their route cannot serve. */
final class FallbackTest {
  private static final String COMPLETIONS = "/v1/completions";
  private static final String SECOND = "match: {model: b}, decode: {pool: b}";

  @RegisterExtension final Stage stage = new Stage();

  private final Pooled pooled = new Pooled(stage);

  private static String first(String said) {
    return "match: {model: a}, decode: {pool: a}, fallback: b" + said;
  }

  /** Answers with its model's name. */
  private static ScriptedEngine.Script saying(String model) {
    return (request, wire) ->
        wire.answer(
            200,
            "{\"id\":\"x\",\"model\":\"%s\",\"choices\":[{\"index\":0,\"text\":\" w\"}]}"
                .formatted(model));
  }

  private HttpResponse<String> ask(String id) {
    return pooled.ask(COMPLETIONS, "a", "x-request-id", id);
  }

  private void assertFellBack(String id, String why) {
    JsonObject record = stage.record(id);
    assertThat(record.getString("model")).isEqualTo("a");
    assertThat(record.getString("route")).isEqualTo("b");
    assertThat(record.getJsonArray("fallbacks"))
        .isEqualTo(new JsonArray().add(new JsonObject().put("route", "a").put("why", why)));
    assertThat(stage.get(stage.adminUrl("/metrics")).body())
        .contains("millrace_route_fallbacks_total{route=\"a\",reason=\"%s\"} 1\n".formatted(why));
  }

  @Test
  void fullRoute_sendsWhoComesToItsFallback() throws Exception {
    CountDownLatch told = new CountDownLatch(1);
    pooled
        .with(
            "a",
            "a",
            (request, wire) -> {
              told.await();
              Scripts.decode().play(request, wire);
            })
        .with("b")
        .open(first(", limits: {concurrent: 1, waiting: 0}"), SECOND);
    CompletableFuture<HttpResponse<String>> inside =
        CompletableFuture.supplyAsync(() -> ask("one"));
    Stage.await("the first is at its engine", () -> pooled.asked().equals("a"));

    HttpResponse<String> answer = ask("two");

    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    assertThat(pooled.engine("b").requests()).hasSize(1);
    assertFellBack("two", "overloaded");
    told.countDown();
    assertThat(inside.join().statusCode()).isEqualTo(200);
    assertThat(stage.record("one").getValue("fallbacks")).isNull();
  }

  @Test
  void drainedWorkers_areNobodyToAsk() throws Exception {
    pooled.with("a", "b").open(first(""), SECOND);
    stage.post(stage.adminUrl("/pd/drain?worker=" + pooled.engine("a").url()), "");

    assertThat(pooled.served(ask("one"))).isEqualTo("b");

    assertFellBack("one", "no_worker");
    stage.post(stage.adminUrl("/pd/resume?worker=" + pooled.engine("a").url()), "");
    assertThat(ask("two").statusCode()).isEqualTo(200);
    assertThat(stage.record("two").getString("route")).isEqualTo("a");
  }

  @Test
  void workerThatIsGone_isNoLongerWaitedForOnceRetriesAreUsedUp() throws Exception {
    pooled.with("a", "b").open(first(""), SECOND);
    pooled.engine("a").close();

    assertThat(pooled.served(ask("one"))).isEqualTo("b");

    assertFellBack("one", "decode_unreachable");
  }

  @ParameterizedTest
  @CsvSource({"500, b", "503, b", "400, a", "404, a", "429, a"})
  void errorOfAnEngine_isTheClientsUnlessTheEngineIsAtFault(int status, String route)
      throws Exception {
    pooled.with("a", "a", Scripts.error(status)).with("b").open(first(""), SECOND);

    HttpResponse<String> answer = ask("one");

    assertThat(answer.statusCode()).isEqualTo(route.equals("b") ? 200 : status);
    assertThat(stage.record("one").getString("route")).isEqualTo(route);
    assertThat(pooled.engine("b").requests()).hasSize(route.equals("b") ? 1 : 0);
  }

  @Test
  void chain_isFollowedToItsEndAndItsLastRouteAnswersForAll() throws Exception {
    pooled
        .with("a", "a", Scripts.error(500))
        .with("b", "b", Scripts.error(503))
        .with("c", "c", Scripts.error(501))
        .open(
            first(""),
            "match: {model: b}, decode: {pool: b}, fallback: c",
            "match: {model: c}, decode: {pool: c}");

    assertThat(ask("one").statusCode()).isEqualTo(501);

    JsonObject record = stage.record("one");
    assertThat(record.getString("route")).isEqualTo("c");
    assertThat(record.getJsonArray("fallbacks")).hasSize(2);
  }

  @Test
  void streamThatHasBegun_goesNowhereElse() throws Exception {
    pooled
        .with("a", "a", (request, wire) -> wire.streamHead().chunk(Scripts.EVENT).reset())
        .with("b")
        .open(first(""), SECOND);

    HttpResponse<String> answer =
        stage.post(COMPLETIONS, Scripts.streamed().replace("tiny", "a"), "x-request-id", "one");

    assertThat(answer.body()).startsWith(Scripts.EVENT).contains("\"decode_broken\"");
    assertThat(pooled.engine("b").requests()).isEmpty();
    assertThat(stage.record("one").getValue("fallbacks")).isNull();
  }

  @Test
  void fallback_isAskedForItsOwnModelAndTheAnswerSaysSo() throws Exception {
    pooled
        .with("a", "a", Scripts.error(500))
        .with("b", "b-1", saying("b-1"))
        .open(first(""), SECOND + ", served-model-name: b-1");

    HttpResponse<String> answer = ask("one");

    assertThat(pooled.engine("b").requests().getFirst().text()).contains("\"model\":\"b-1\"");
    assertThat(new JsonObject(answer.body()).getString("model")).isEqualTo("b");
    assertThat(stage.record("one").getString("asked_as")).isEqualTo("b-1");
  }

  @Test
  void fallbackThatKnowsTheModel_isAskedForIt() throws Exception {
    pooled
        .with("a", "a", Scripts.error(500))
        .with("b", "a", saying("a"))
        .open(first(""), "name: b, match: {model: 'a*'}, decode: {pool: b}");

    HttpResponse<String> answer = ask("one");

    assertThat(pooled.engine("b").requests().getFirst().text()).contains("\"model\":\"a\"");
    assertThat(new JsonObject(answer.body()).getString("model")).isEqualTo("a");
  }

  @Test
  void blocksOfARouteThatFails_areReleased() throws Exception {
    ScriptedEngine p = stage.engine(Scripts.prefill());
    ScriptedEngine d =
        stage.engine(
            Scripts.butForReleases((request, wire) -> wire.answer(500, Scripts.ERROR_BODY)));
    pooled
        .with("b")
        .pool("p", "role: prefill, model: a", p)
        .pool("d", "role: decode, model: a", d)
        .open("match: {model: a}, prefill: {pool: p}, decode: {pool: d}, fallback: b", SECOND);

    assertThat(ask("one").statusCode()).isEqualTo(200);

    assertFellBack("one", "decode_error");
    assertThat(p.requests()).isNotEmpty();
    Stage.await(
        "every prompt's blocks are released",
        () ->
            new JsonObject(stage.get(stage.adminUrl("/pd/workers")).body())
                    .getJsonObject("hand_offs")
                    .getInteger("released")
                == p.requests().size());
  }

  @Test
  void tableThatIsReadAnew_goesOnCounting() throws Exception {
    pooled.with("a", "a", Scripts.error(500)).with("b");
    RoutingTable before = pooled.table(first(""), SECOND);
    RoutingTable after = pooled.table(first(", limits: {concurrent: 7}"), SECOND);
    stage.open(before, () -> new Loaded.Valid(after));
    ask("one");
    stage.record("one");

    assertThat(stage.post(stage.adminUrl("/pd/reload"), "").statusCode()).isEqualTo(200);
    ask("two");
    stage.record("two");

    assertThat(stage.get(stage.adminUrl("/metrics")).body())
        .contains("millrace_route_fallbacks_total{route=\"a\",reason=\"decode_error\"} 2\n");
  }
}
