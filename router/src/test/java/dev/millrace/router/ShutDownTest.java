package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.EngineRole;
import dev.millrace.simulator.SimulatedEngine;
import io.vertx.core.Future;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** What is under way when the router is asked to stop. */
final class ShutDownTest {
  private static final String COMPLETIONS = "/v1/completions";
  private static final Duration LONG = Duration.ofSeconds(30);

  @RegisterExtension final Stage stage = new Stage();

  private static void await(CountDownLatch latch) {
    try {
      assertThat(latch.await(30, TimeUnit.SECONDS)).isTrue();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void answersUnderWay_endWholeAndNobodyElseIsLetIn() throws Exception {
    CountDownLatch go = new CountDownLatch(1);
    ScriptedEngine p = stage.engine(Scripts.prefill());
    ScriptedEngine d =
        stage.engine((request, wire) -> {
          wire.streamHead().chunk(Scripts.EVENT);
          await(go);
          wire.chunk(Scripts.EVENT).chunk(Scripts.DONE).endChunks();
        });
    stage.open(p, d, 2);
    RawClient idle = stage.raw();
    List<RawClient> streams = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      RawClient client = stage.raw().send(RawClient.post(COMPLETIONS, Scripts.streamed()));
      client.readUntil("w1");
      streams.add(client);
    }

    Future<Void> stopped = stage.router().shutDown(LONG);

    Stage.await(
        "it says that it is not ready",
        () -> stage.get(stage.adminUrl("/readyz")).statusCode() == 503);
    assertThat(idle.readToEnd()).as("idle connections are closed").isEmpty();
    assertThatThrownBy(() -> stage.raw().send(RawClient.post(COMPLETIONS, Scripts.whole())))
        .isInstanceOf(UncheckedIOException.class);
    assertThat(stopped.isComplete()).isFalse();
    go.countDown();
    for (RawClient client : streams) {
      assertThat(client.readToEnd()).contains("data: [DONE]").endsWith("0\r\n\r\n");
    }
    stopped.await(30, TimeUnit.SECONDS);
  }

  @Test
  void answersThatTakeTooLong_breakOffAndTheirBlocksAreReleased() throws Exception {
    SimulatedEngine p =
        stage.simulated(EngineConfig.builder().role(EngineRole.PREFILL).model(Stage.MODEL).build());
    ScriptedEngine d = stage.engine(Scripts.butForReleases((request, wire) -> wire.awaitGone()));
    stage.open(List.of(p.uri()), List.of(d.url()), UnaryOperator.identity());
    RawClient client = stage.raw().send(RawClient.post(COMPLETIONS, Scripts.streamed()));
    Stage.await("P holds blocks", () -> stage.router().occupancy().handOffs() == 1);

    stage.router().shutDown(Duration.ofMillis(100)).await(30, TimeUnit.SECONDS);

    assertThat(client.readToEnd()).doesNotContain("HTTP/1.1 200");
    assertThat(d.requests()).as("the request, and the one that releases").hasSize(2);
    assertThat(stage.router().occupancy().isIdle()).isTrue();
  }
}
