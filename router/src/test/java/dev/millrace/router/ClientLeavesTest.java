package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** A client that leaves, in every phase: the open leg is reset, and the blocks are freed. */
final class ClientLeavesTest {
  @RegisterExtension final Stage stage = new Stage();
  private final CountDownLatch reached = new CountDownLatch(1);
  private final CountDownLatch gone = new CountDownLatch(1);

  /** Says that the test's moment has come, then notes when the router has closed its end. */
  private void waitForReset(ScriptedEngine.Wire wire) throws Exception {
    reached.countDown();
    wire.awaitGone();
    gone.countDown();
  }

  private ScriptedEngine.Script hanging() {
    return (request, wire) -> {
      try {
        waitForReset(wire);
      } catch (Exception e) {
        throw new AssertionError(e);
      }
    };
  }

  private void leaveWhenReached(RawClient client) throws InterruptedException {
    assertThat(reached.await(10, TimeUnit.SECONDS)).isTrue();
    client.reset();
  }

  private void assertLegWasReset() throws InterruptedException {
    assertThat(gone.await(10, TimeUnit.SECONDS)).isTrue();
  }

  @Test
  void whileItSendsItsRequest_nothingReachesAnEngine() throws Exception {
    ScriptedEngine p = stage.engine(Scripts.prefill());
    Router router = stage.open(p, stage.engine(Scripts.decode()));
    RawClient client = stage.raw();
    client.send("POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{\"mod");
    Stage.await("the exchange has begun", () -> router.occupancy().exchanges() == 1);

    client.reset();

    Stage.await("the exchange has ended", () -> router.occupancy().exchanges() == 0);
    assertThat(p.requests()).isEmpty();
  }

  @Test
  void whilePrefillComputes_resetsThePrefillLeg() throws Exception {
    ScriptedEngine d = stage.engine(Scripts.decode());
    stage.open(stage.engine(hanging()), d);
    RawClient client = stage.raw().send(RawClient.post("/v1/completions", Scripts.whole()));

    leaveWhenReached(client);

    assertLegWasReset();
    assertThat(d.requests()).isEmpty();
  }

  @Test
  void whileAWholeAnswerIsGenerated_resetsTheDecodeLegAndReleasesTheBlocks() throws Exception {
    ScriptedEngine d = stage.engine(Scripts.butForReleases(hanging()));
    Router router = stage.open(stage.engine(Scripts.prefill()), d);
    RawClient client = stage.raw().send(RawClient.post("/v1/completions", Scripts.whole()));

    leaveWhenReached(client);

    assertLegWasReset();
    Stage.await("the hand-off has ended", () -> router.occupancy().handOffs() == 0);
    assertThat(d.requests().getLast().text())
        .contains("\"max_tokens\":1,\"min_tokens\":2,\"kv_transfer_params\":" + Scripts.PARAMETERS);
    assertThat(stage.get(stage.adminUrl("/pd/workers")).body()).contains("\"released\":1");
  }

  @Test
  void beforeAStreamSaysAnything_resetsTheDecodeLeg() throws Exception {
    ScriptedEngine d =
        stage.engine((request, wire) -> {
          wire.streamHead().chunk(Scripts.ROLE);
          hanging().play(request, wire);
        });
    stage.open(stage.engine(Scripts.prefill()), d);
    RawClient client = stage.raw().send(RawClient.post("/v1/completions", Scripts.streamed()));

    leaveWhenReached(client);

    assertLegWasReset();
    // The engine had begun to answer, so its own abort frees the blocks: no request for it.
    assertThat(d.requests()).hasSize(1);
  }

  @Test
  void midStream_resetsTheDecodeLeg() throws Exception {
    ScriptedEngine d =
        stage.engine((request, wire) -> {
          wire.streamHead().chunk(Scripts.EVENT);
          hanging().play(request, wire);
        });
    stage.open(stage.engine(Scripts.prefill()), d);
    RawClient client = stage.raw().send(RawClient.post("/v1/completions", Scripts.streamed()));
    client.readUntil(Scripts.EVENT);

    leaveWhenReached(client);

    assertLegWasReset();
    assertThat(stage.get(stage.adminUrl("/pd/workers")).body()).contains("\"consumed\":1");
  }

  @Test
  void midStream_withAnOrderlyClose_resetsTheDecodeLeg() throws Exception {
    ScriptedEngine d =
        stage.engine((request, wire) -> {
          wire.streamHead().chunk(Scripts.EVENT);
          hanging().play(request, wire);
        });
    stage.open(stage.engine(Scripts.prefill()), d);
    RawClient client = stage.raw().send(RawClient.post("/v1/completions", Scripts.streamed()));
    client.readUntil(Scripts.EVENT);

    client.close();

    assertLegWasReset();
  }

  @Test
  void aSlowClient_makesTheEngineWait() throws Exception {
    CountDownLatch stuck = new CountDownLatch(1);
    String large = "data: {\"choices\":[{\"text\":\"" + "x".repeat(60_000) + "\"}]}\n\n";
    ScriptedEngine d =
        stage.engine((request, wire) -> {
          wire.streamHead();
          for (int i = 0; i < 2000; i++) {
            if (i == 1000) {
              stuck.countDown();
            }
            wire.chunk(large);
          }
        });
    stage.open(stage.engine(Scripts.prefill()), d);
    RawClient client = stage.raw().send(RawClient.post("/v1/completions", Scripts.streamed()));
    client.readUntil("data: ");

    // 60 MB do not fit into the sockets between: the engine cannot have written them.
    assertThat(stuck.await(1, TimeUnit.SECONDS)).isFalse();
    client.reset();
  }
}
