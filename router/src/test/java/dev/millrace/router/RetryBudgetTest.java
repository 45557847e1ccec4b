package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Bypass;
import dev.millrace.config.Retries;
import java.net.http.HttpResponse;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** How much of what fails is tried again, over all requests of a route. */
final class RetryBudgetTest {
  private static final String COMPLETIONS = "/v1/completions";

  /** Of every ten seconds. */
  private static final int FLOOR = 10;

  /** Decode workers do all by themselves. */
  private static final Bypass EVERYTHING = Bypass.below(1 << 20);

  @RegisterExtension final Stage stage = new Stage();

  private HttpResponse<String> ask(String id) {
    return stage.post(COMPLETIONS, Scripts.whole(), "x-request-id", id);
  }

  private void stopTheClock() {
    long start = System.nanoTime();
    stage.goBy(() -> start);
  }

  @Test
  void everyWorkerFails_theBudgetBoundsTheLoad() {
    stopTheClock();
    ScriptedEngine one = stage.engine(Scripts.error(500));
    ScriptedEngine two = stage.engine(Scripts.error(500));
    ScriptedEngine three = stage.engine(Scripts.error(500));
    stage.open(
        List.of(one.url(), two.url(), three.url()),
        List.of(stage.engine(Scripts.decode()).url()),
        route -> route.withRetries(new Retries(2, 1, 10)));
    int asked = 60;

    for (int i = 0; i < asked; i++) {
      HttpResponse<String> answer = ask("r" + i);
      assertThat(answer.statusCode()).isEqualTo(500);
      assertThat(answer.body()).isEqualTo(Scripts.ERROR_BODY);
    }

    int legs = one.requests().size() + two.requests().size() + three.requests().size();
    assertThat(legs).isEqualTo(asked + FLOOR + asked / 10);
    assertThat(stage.record("r0").getString("not_retried")).isNull();
    assertThat(stage.record("r0").getInteger("retries")).isEqualTo(2);
    assertThat(stage.record("r58").getString("not_retried")).contains("budget is spent");
    assertThat(stage.record("r58").getInteger("retries")).isZero();
    assertThat(stage.counted("retries_total", legs - asked)).isTrue();
  }

  @Test
  void decodeWorkersFail_theSameBudgetBoundsThem() {
    stopTheClock();
    ScriptedEngine one = stage.engine(Scripts.error(500));
    ScriptedEngine two = stage.engine(Scripts.error(500));
    stage.open(
        List.of(stage.engine(Scripts.prefill()).url()),
        List.of(one.url(), two.url()),
        route -> route.withRetries(new Retries(0, 1, 0)).withBypass(EVERYTHING));
    int asked = 30;

    for (int i = 0; i < asked; i++) {
      assertThat(ask("r" + i).statusCode()).isEqualTo(500);
    }

    assertThat(one.requests().size() + two.requests().size()).isEqualTo(asked + FLOOR);
  }

  @Test
  void nobodyIsLeftToTry_nothingIsSpent() {
    stage.open(stage.engine(Scripts.error(500)), stage.engine(Scripts.decode()));

    for (int i = 0; i < 3 * FLOOR; i++) {
      assertThat(ask("r" + i).statusCode()).isEqualTo(500);
    }

    assertThat(stage.record("r29").getString("not_retried")).isNull();
    assertThat(stage.counted("retries_refused_total", 0)).isTrue();
  }

  /** A prefill engine that closes each connection at its second request, having seen it. */
  private static ScriptedEngine.Script closing(Runnable meanwhile, String answer) {
    return (request, wire) -> {
      if (request.ofConnection() == 2) {
        meanwhile.run();
        wire.close();
      } else {
        wire.answer(200, answer);
      }
    };
  }

  @Test
  void connectionsClosedUnderRequests_costNothing() {
    ScriptedEngine p = stage.engine(closing(() -> {}, Scripts.PREFILLED));
    stage.open(p, stage.engine(Scripts.decode()), 1);
    int asked = 3 * FLOOR;

    for (int i = 0; i < asked; i++) {
      assertThat(ask("r" + i).statusCode()).isEqualTo(200);
    }

    assertThat(p.requests())
        .as("every one after the first met a closed one")
        .hasSize(2 * asked - 1);
    assertThat(stage.counted("retries_total", 0)).isTrue();
  }

  @Test
  void connectionOfALoneWorker_isOpenedOnceMoreAtNoCost() {
    ScriptedEngine alone = stage.engine(closing(() -> {}, Scripts.ANSWER));
    stage.open(
        List.of(stage.engine(Scripts.prefill()).url()),
        List.of(alone.url()),
        route -> route.withRetries(new Retries(0, 0, 0)).withBypass(EVERYTHING));

    for (int i = 0; i < 4; i++) {
      HttpResponse<String> answer = ask("r" + i);
      assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    }

    assertThat(stage.counted("retries_total", 0)).isTrue();
  }

  /**
   * Where the worker had the request for a while before its end, it was not closing an idle one.
   */
  @Test
  void workerThatDiesOverARequest_isNotReconnectedForNothing() {
    AtomicLong passedNanos = new AtomicLong();
    ScriptedEngine p =
        stage.engine(closing(() -> passedNanos.addAndGet(2_000_000_000L), Scripts.PREFILLED));
    stage.goBy(() -> System.nanoTime() + passedNanos.get());
    stage.open(p, stage.engine(Scripts.decode()), 1);

    assertThat(ask("first").statusCode()).isEqualTo(200);
    HttpResponse<String> second = ask("second");

    assertThat(second.statusCode()).isEqualTo(502);
    assertThat(second.body()).contains("\"prefill_broken\"");
  }
}
