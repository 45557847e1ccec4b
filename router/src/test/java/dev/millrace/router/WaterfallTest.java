package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.vertx.core.json.JsonObject;
import java.net.http.HttpResponse;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** What the admin port tells about an exchange. */
final class WaterfallTest {
  @RegisterExtension final Stage stage = new Stage();

  private JsonObject waterfall(HttpResponse<String> of) throws InterruptedException {
    String path = "/pd/requests/" + of.headers().firstValue("x-request-id").orElseThrow();
    Stage.await("it is settled", () -> stage.get(stage.adminUrl(path)).statusCode() == 200);
    return new JsonObject(stage.get(stage.adminUrl(path)).body());
  }

  private static void assertAddsUp(JsonObject waterfall) {
    double sum =
        waterfall.getJsonObject("parts_ms").stream()
            .mapToDouble(part -> ((Number) part.getValue()).doubleValue())
            .sum();
    assertThat(sum).isCloseTo(waterfall.getDouble("total_ms"), within(0.001));
  }

  @Test
  void stream_addsUpAndNamesItsWorkers() throws Exception {
    ScriptedEngine p = stage.engine(Scripts.prefill());
    ScriptedEngine d = stage.engine(Scripts.decode());
    stage.open(p, d);

    JsonObject waterfall = waterfall(stage.post("/v1/completions", Scripts.streamed()));

    assertAddsUp(waterfall);
    assertThat(waterfall.getString("prefill")).isEqualTo(p.url().toString());
    assertThat(waterfall.getString("decode")).isEqualTo(d.url().toString());
    assertThat(waterfall.getString("model")).isEqualTo("tiny");
    assertThat(waterfall.getInteger("status")).isEqualTo(200);
    assertThat(waterfall.getInteger("retries")).isZero();
    assertThat(waterfall.getJsonObject("parts_ms").getDouble("p")).isPositive();
    assertThat(waterfall.getJsonObject("parts_ms").getDouble("d-before-first-token")).isPositive();
    assertThat(waterfall.getJsonObject("parts_ms").getDouble("retries")).isZero();
    assertThat(waterfall.getDouble("first_token_ms"))
        .isPositive()
        .isLessThanOrEqualTo(waterfall.getDouble("total_ms"));
  }

  @Test
  void retry_isAPartOfItsOwn() throws Exception {
    ScriptedEngine bad = stage.engine(Scripts.error(500));
    ScriptedEngine good = stage.engine(Scripts.prefill());
    ScriptedEngine d = stage.engine(Scripts.decode());
    stage.open(List.of(bad.url(), good.url()), List.of(d.url()), UnaryOperator.identity());

    JsonObject waterfall = waterfall(stage.post("/v1/completions", Scripts.whole()));

    assertAddsUp(waterfall);
    assertThat(waterfall.getInteger("retries")).isOne();
    assertThat(waterfall.getJsonObject("parts_ms").getDouble("retries")).isPositive();
    assertThat(waterfall.getString("prefill")).isEqualTo(good.url().toString());
  }

  @Test
  void failure_addsUpToo() throws Exception {
    stage.open(stage.engine(Scripts.error(500)), stage.engine(Scripts.decode()));

    JsonObject waterfall = waterfall(stage.post("/v1/completions", Scripts.whole()));

    assertAddsUp(waterfall);
    assertThat(waterfall.getInteger("status")).isEqualTo(500);
    assertThat(waterfall.getJsonObject("transfer").getString("bytes")).isEqualTo("unknown");
  }

  @Test
  void transfer_isWhatTheDecodeWorkersCountersRoseBy() throws Exception {
    AtomicInteger reads = new AtomicInteger();
    String metrics = Stage.recorded("metrics_d.txt");
    ScriptedEngine d =
        stage.engine((request, wire) -> {
          reads.incrementAndGet();
          Scripts.decode().play(request, wire);
        });
    d.showing(() ->
        metrics
            .replace(
                "bytes_transferred_sum{engine=\"0\",model_name=\"tiny\"} 3.178496e+07",
                "bytes_transferred_sum{engine=\"0\",model_name=\"tiny\"} "
                    + (3.178496e+07 + 4096.0 * reads.get()))
            .replace(
                "xfer_time_seconds_sum{engine=\"0\",model_name=\"tiny\"} 0.35365199999999997",
                "xfer_time_seconds_sum{engine=\"0\",model_name=\"tiny\"} "
                    + (0.5 + 0.25 * reads.get())));
    stage.open(stage.engine(Scripts.prefill()), d);

    // An exchange that meets the router's first look, or the one for the exchange before it, has
    // no figures; the next one that finds the worker at rest has.
    Stage.await(
        "an exchange has figures",
        () -> {
          JsonObject transfer = reported(stage.post("/v1/completions", Scripts.whole()));
          return transfer.getValue("bytes") instanceof Number bytes
              && bytes.longValue() == 4096
              && transfer.getDouble("seconds") == 0.25;
        });
  }

  private JsonObject reported(HttpResponse<String> answer) {
    try {
      Stage.await(
          "there is a report",
          () -> !transfer(answer).getString("why", "").equals("not asked yet"));
      return transfer(answer);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  private JsonObject transfer(HttpResponse<String> answer) {
    try {
      return waterfall(answer).getJsonObject("transfer");
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void longNameOfAModel_isNotKept() throws Exception {
    stage.open(stage.engine(Scripts.prefill()), stage.engine(Scripts.decode()));

    HttpResponse<String> answer =
        stage.post("/v1/completions", "{\"model\":\"" + "m".repeat(1 << 20) + "\"}");

    assertThat(answer.statusCode()).isEqualTo(404);
    assertThat(waterfall(answer).getString("model")).hasSizeLessThanOrEqualTo(101);
  }

  @Test
  void unknownId_is404() {
    stage.open(stage.engine(Scripts.prefill()), stage.engine(Scripts.decode()));

    assertThat(stage.get(stage.adminUrl("/pd/requests/nobody")).statusCode()).isEqualTo(404);
    assertThat(stage.get(stage.adminUrl("/livez")).statusCode()).isEqualTo(200);
    assertThat(stage.get(stage.adminUrl("/readyz")).statusCode()).isEqualTo(200);
  }
}
