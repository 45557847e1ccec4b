package dev.millrace.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.Layout;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

class LeaseTest {
  @RegisterExtension private final EngineInvariants engines = new EngineInvariants();
  private final ManualClock clock = new ManualClock();

  private SimulatedEngine prefill() {
    return engines.start(c ->
        c.role(EngineRole.PREFILL)
            .clock(clock)
            .geometry(EngineInvariants.geometry(2, 16, Layout.HND)));
  }

  private SimulatedEngine decode() {
    return engines.start(
        c -> c.role(EngineRole.DECODE).geometry(EngineInvariants.geometry(1, 16, Layout.HND)));
  }

  @Test
  void handOff_nobodyComes_expires() {
    SimulatedEngine prefill = prefill();
    Legs.prefill(prefill, Legs.prompt(40));
    assertThat(prefill.stats().heldBlocks()).isEqualTo(3);
    assertThat(prefill.stats().usedBlocks()).isEqualTo(3);
    clock.advance(Duration.ofSeconds(31));
    EngineInvariants.await(() -> prefill.stats().heldBlocks() == 0);
    assertThat(prefill.stats().expiredHandoffs()).isEqualTo(1);
    assertThat(Caller.get(prefill, "/metrics").body())
        .contains("vllm:nixl_num_kv_expired_reqs_total{engine=\"0\",model_name=\"tiny\"} 1.0\n");
  }

  @Test
  void handOff_read_isReleasedByNotification() {
    SimulatedEngine prefill = prefill();
    Legs.disaggregated(prefill, decode(), Legs.prompt(40), 2);
    EngineInvariants.await(() -> prefill.stats().heldBlocks() == 0);
    assertThat(prefill.stats().releasedHandoffs()).isEqualTo(1);
    assertThat(prefill.stats().expiredHandoffs()).isZero();
  }

  @Test
  void handOff_decodeRefusesTheRequest_isReleased() {
    SimulatedEngine prefill = prefill();
    String params = Legs.prefill(prefill, Legs.prompt(40));
    HttpResponse<String> answer =
        Caller.complete(
            decode(),
            Legs.with(
                Legs.with(Legs.body(Legs.prompt(40), 8), "min_tokens", "5000"),
                "kv_transfer_params",
                params));
    assertThat(answer.statusCode()).isEqualTo(400);
    EngineInvariants.await(() -> prefill.stats().releasedHandoffs() == 1);
  }

  @Test
  void handOff_decodeWaitsForBlocks_isKeptByHeartbeats() {
    SimulatedEngine prefill = prefill();
    SimulatedEngine decode =
        engines.start(c ->
            c.role(EngineRole.DECODE)
                .heartbeat(Duration.ofMillis(20))
                .timing(new Timing(0, Duration.ofMillis(5)))
                .geometry(EngineInvariants.geometry(1, 16, Layout.HND, 9)));
    var first = Caller.completeLater(decode, Legs.body("long", 120));
    EngineInvariants.await(() -> decode.stats().usedBlocks() == 8);
    String prompt = Legs.prompt(40);
    String params = Legs.prefill(prefill, prompt);
    CompletableFuture<HttpResponse<String>> second =
        Caller.completeLater(decode, Legs.with(Legs.body(prompt, 2), "kv_transfer_params", params));
    EngineInvariants.await(() -> decode.stats().waitingRequests() == 1);
    clock.advance(Duration.ofSeconds(25));
    long before = prefill.stats().heartbeats();
    EngineInvariants.await(() -> prefill.stats().heartbeats() > before + 1);
    clock.advance(Duration.ofSeconds(15));
    assertThat(second.join().statusCode()).isEqualTo(200);
    assertThat(first.join().statusCode()).isEqualTo(200);
    EngineInvariants.await(() -> prefill.stats().releasedHandoffs() == 1);
    assertThat(prefill.stats().expiredHandoffs()).isZero();
  }

  @Test
  void handOff_prefillForgetsTheLease_blocksAreFreeAtOnce() {
    SimulatedEngine prefill = prefill();
    prefill.misbehave(new Misbehaviour.ForgetLease());
    String params = Legs.prefill(prefill, Legs.prompt(40));
    assertThat(prefill.stats().usedBlocks()).isZero();
    assertThat(params).contains("remote_block_ids");
  }
}
