package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import io.vertx.core.json.JsonObject;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** Workers that are taken out of use. */
final class DrainTest {
  private static final String COMPLETIONS = "/v1/completions";

  @RegisterExtension final Stage stage = new Stage();

  private HttpResponse<String> post(String path, URI worker) {
    return stage.send(
        HttpRequest.newBuilder(stage.adminUrl(path + "?worker=" + worker))
            .POST(HttpRequest.BodyPublishers.noBody())
            .build());
  }

  private JsonObject worker(URI url) {
    return new JsonObject(stage.get(stage.adminUrl("/pd/workers")).body())
        .getJsonArray("workers").stream()
            .map(JsonObject.class::cast)
            .filter(each -> each.getString("url").equals(url.toString()))
            .findFirst()
            .orElseThrow();
  }

  @Test
  void drainedPrefill_getsNothingNewAndIsDrainedWhenItsBlocksAreFree() throws Exception {
    CountDownLatch go = new CountDownLatch(1);
    ScriptedEngine p1 = stage.engine(Scripts.prefill());
    ScriptedEngine p2 = stage.engine(Scripts.prefill());
    ScriptedEngine d =
        stage.engine((request, wire) -> {
          await(go);
          Scripts.decode().play(request, wire);
        });
    stage.open(List.of(p1.url(), p2.url()), List.of(d.url()), UnaryOperator.identity());
    RawClient first = stage.raw().send(RawClient.post(COMPLETIONS, Scripts.whole()));
    Stage.await("P1's blocks wait for D", () -> worker(p1.url()).getInteger("hand_offs") == 1);

    HttpResponse<String> drained = post("/pd/drain", p1.url());

    assertThat(drained.statusCode()).isEqualTo(200);
    assertThat(worker(p1.url()).getBoolean("draining")).isTrue();
    assertThat(worker(p1.url()).getBoolean("drained")).as("it holds blocks").isFalse();
    go.countDown();
    first.readUntil("\r\n\r\n");
    for (int i = 0; i < 4; i++) {
      assertThat(stage.post(COMPLETIONS, Scripts.whole()).statusCode()).isEqualTo(200);
    }
    assertThat(p1.requests()).hasSize(1);
    assertThat(p2.requests()).hasSize(4);
    Stage.await("nothing is left", () -> worker(p1.url()).getBoolean("drained"));

    post("/pd/resume", p1.url());
    for (int i = 0; i < 4; i++) {
      assertThat(stage.post(COMPLETIONS, Scripts.whole()).statusCode()).isEqualTo(200);
    }
    assertThat(p1.requests()).hasSize(3);
    first.close();
  }

  @Test
  void nobodyLeft_isSaid() {
    ScriptedEngine p = stage.engine(Scripts.prefill());
    ScriptedEngine d = stage.engine(Scripts.decode());
    stage.open(p, d);
    post("/pd/drain", p.url());

    HttpResponse<String> answer = stage.post(COMPLETIONS, Scripts.whole());

    assertThat(answer.statusCode()).isEqualTo(503);
    assertThat(answer.body()).contains("drained");
  }

  @Test
  void unknownWorker_isNotFound() {
    stage.open(stage.engine(Scripts.prefill()), stage.engine(Scripts.decode()));
    HttpResponse<String> answer = post("/pd/drain", URI.create("http://127.0.0.1:1"));
    assertThat(answer.statusCode()).isEqualTo(404);
    assertThat(answer.body()).contains("unknown_worker");
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }
}
