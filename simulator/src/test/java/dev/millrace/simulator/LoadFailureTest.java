package dev.millrace.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Parallelism;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a decode engine answers when the blocks do not come. */
class LoadFailureTest {
  private static final String CHAT =
      "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"max_tokens\":4}";

  @RegisterExtension private final EngineInvariants engines = new EngineInvariants();
  private final ManualClock clock = new ManualClock();

  private SimulatedEngine engine(Pairing pairing, GeometrySpec geometry) {
    return engines.start(c -> c.pairing(pairing).geometry(geometry).clock(clock));
  }

  private SimulatedEngine engine(Pairing pairing) {
    return engine(pairing, EngineInvariants.geometry(1, 16, Layout.HND));
  }

  /** Parameters of an engine that has ended. */
  private String paramsOfTheDead(String prompt) {
    SimulatedEngine prefill = engine(Pairing.ANY);
    String params = Legs.prefill(prefill, prompt);
    prefill
        .close()
        .toCompletionStage()
        .toCompletableFuture()
        .orTimeout(20, TimeUnit.SECONDS)
        .join();
    return params;
  }

  @Test
  void prefillDead_answersAreTheRecordedOnes() {
    SimulatedEngine decode = engine(Pairing.ANY);
    String prompt = Legs.prompt(40);
    String params = paramsOfTheDead(prompt);
    HttpResponse<String> unary = Legs.decode(decode, prompt, 4, params);
    assertThat(unary.statusCode()).isEqualTo(500);
    assertThat(unary.body()).isEqualTo(Recordings.body("d_leg_p_dead_err.http").strip());

    String streaming = Legs.with(Legs.body(prompt, 4), "stream", "true");
    HttpResponse<String> stream =
        Caller.complete(decode, Legs.with(streaming, "kv_transfer_params", params));
    assertThat(stream.statusCode()).isEqualTo(200);
    assertThat(stream.body()).isEqualTo(Recordings.body("d_leg_p_dead_err_stream.http"));
    assertThat(decode.stats().failedTransfers()).isEqualTo(2);
  }

  /** Status and headers as well; dates and lengths are each answer's own, CORS is not played. */
  @ParameterizedTest
  @CsvSource({
    "/v1/completions, false, d_leg_p_dead_err.http",
    "/v1/completions, true, d_leg_p_dead_err_stream.http",
    "/v1/chat/completions, false, d_leg_p_dead_err_chat.http",
    "/v1/chat/completions, true, d_leg_p_dead_err_chat_stream.http"
  })
  void prefillDead_headsAreTheRecordedOnes(String path, boolean stream, String recording) {
    SimulatedEngine decode = engine(Pairing.ANY);
    String body = path.contains("chat") ? CHAT : Legs.body("abc", 4);
    String params = paramsOfTheDead("abc");

    HttpResponse<String> answer =
        Caller.post(
            decode,
            path,
            Legs.with(
                Legs.with(body, "stream", Boolean.toString(stream)), "kv_transfer_params", params));

    String head = Recordings.text(recording).replace("\r\n", "\n");
    assertThat(answer.statusCode())
        .isEqualTo(Integer.parseInt(head.substring("HTTP/1.1 ".length()).substring(0, 3)));
    for (String name : List.of("content-type", "content-length", "transfer-encoding")) {
      String recorded =
          head.substring(0, head.indexOf("\n\n"))
              .lines()
              .filter(line -> line.startsWith(name + ": "))
              .map(line -> line.substring(name.length() + 2))
              .findFirst()
              .orElse("absent");
      assertThat(answer.headers().firstValue(name).orElse("absent")).as(name).isEqualTo(recorded);
    }
  }

  @Test
  void prefillDead_chatStream_roleThenErrorThenDone() {
    SimulatedEngine decode = engine(Pairing.ANY);
    String body =
        Legs.with(Legs.with(CHAT, "stream", "true"), "kv_transfer_params", paramsOfTheDead("abc"));
    List<String> events = Caller.events(Caller.post(decode, "/v1/chat/completions", body).body());
    List<String> recorded = Caller.events(Recordings.body("d_leg_p_dead_err_chat_stream.http"));
    assertThat(events).hasSameSizeAs(recorded);
    assertThat(Json.shape(events.getFirst())).isEqualTo(Json.shape(recorded.getFirst()));
    assertThat(events.subList(1, 3)).isEqualTo(recorded.subList(1, 3));
  }

  @ParameterizedTest
  @EnumSource(Pairing.class)
  void prefillDeadAfterFirstUse_500(Pairing pairing) {
    SimulatedEngine decode = engine(pairing);
    SimulatedEngine prefill = engine(pairing);
    Legs.disaggregated(prefill, decode, Legs.prompt(40), 2);
    String params = Legs.prefill(prefill, "another prompt than the one before");
    prefill
        .close()
        .toCompletionStage()
        .toCompletableFuture()
        .orTimeout(20, TimeUnit.SECONDS)
        .join();
    assertThat(Legs.decode(decode, "another prompt than the one before", 2, params).statusCode())
        .isEqualTo(500);
  }

  @Test
  void engineIdUnknown_500() {
    SimulatedEngine decode = engine(Pairing.ANY);
    SimulatedEngine prefill = engine(Pairing.ANY);
    String prompt = Legs.prompt(40);
    String params = Legs.prefill(prefill, prompt);
    String wrong = params.replace(prefill.engineId(), "00000000-0000-0000-0000-000000000000");
    HttpResponse<String> answer = Legs.decode(decode, prompt, 4, wrong);
    assertThat(answer.statusCode()).isEqualTo(500);
    assertThat(answer.body()).isEqualTo(Recordings.text("error_engine.json").strip());
    clock.advance(Duration.ofSeconds(31));
  }

  @Test
  void blockIdsOutOfRange_500AndPrefillIsReleased() {
    SimulatedEngine decode = engine(Pairing.VLLM);
    SimulatedEngine prefill = engine(Pairing.VLLM);
    String prompt = Legs.prompt(40);
    String params =
        Legs.prefill(prefill, prompt)
            .replaceFirst("\"remote_block_ids\":\\[\\[\\d+", "\"remote_block_ids\":[[999999");
    HttpResponse<String> answer = Legs.decode(decode, prompt, 4, params);
    assertThat(answer.statusCode()).isEqualTo(500);
    assertThat(answer.body()).isEqualTo(Recordings.text("error_blocks.json").strip());
    EngineInvariants.await(() -> prefill.stats().releasedHandoffs() == 1);
  }

  @Test
  void blockIdsOutOfRange_nothingIsLeftInThePrefixCache() {
    SimulatedEngine decode = engine(Pairing.ANY);
    SimulatedEngine prefill = engine(Pairing.ANY);
    String prompt = Legs.prompt(64);
    String params = Legs.prefill(prefill, prompt).replaceFirst("\\d+\\]\\]", "999999]]");
    assertThat(Legs.decode(decode, prompt, 4, params).statusCode()).isEqualTo(500);
    assertThat(Legs.aggregated(decode, prompt, 4)).isEqualTo(Legs.aggregated(prefill, prompt, 4));
    assertThat(decode.stats().promptTokensByLocalCache()).isZero();
    assertThat(decode.stats().prefillTokensComputed()).isEqualTo(64);
  }

  @Test
  void hashDiffers_vllm_500AndPrefillKeepsTheBlocks() {
    ModelShape other = ModelShape.dense(3, 4, 16, ElementType.FLOAT16);
    SimulatedEngine prefill =
        engine(Pairing.VLLM, new GeometrySpec(other, Parallelism.tensor(1), 16, Layout.HND, 64));
    SimulatedEngine decode = engine(Pairing.VLLM);
    String prompt = Legs.prompt(40);
    HttpResponse<String> answer = Legs.decode(decode, prompt, 4, Legs.prefill(prefill, prompt));
    assertThat(answer.statusCode()).isEqualTo(500);
    assertThat(answer.body()).isEqualTo(Recordings.text("error_engine.json").strip());
    assertThat(prefill.stats().heldBlocks()).isEqualTo(3);
    assertThat(Caller.get(decode, "/metrics").body())
        .contains("vllm:nixl_num_failed_transfers_total{engine=\"0\",model_name=\"tiny\"} 1.0\n");
    clock.advance(Duration.ofSeconds(31));
  }

  @Test
  void elementTypeDiffers_any_500() {
    ModelShape other = ModelShape.dense(3, 4, 16, ElementType.FLOAT16);
    SimulatedEngine prefill =
        engine(Pairing.ANY, new GeometrySpec(other, Parallelism.tensor(1), 16, Layout.HND, 64));
    SimulatedEngine decode = engine(Pairing.ANY);
    String prompt = Legs.prompt(40);
    assertThat(Legs.decode(decode, prompt, 4, Legs.prefill(prefill, prompt)).statusCode())
        .isEqualTo(500);
    clock.advance(Duration.ofSeconds(31));
  }

  @ParameterizedTest
  @CsvSource({
    // vLLM's connector: larger blocks on P, other layouts, split heads in NHD, sizes that do not
    // divide, unequal blocks where P has more ranks.
    "1, 32, hnd, 1, 16, hnd, 500",
    "1, 16, hnd, 1, 16, nhd, 500",
    "1, 16, nhd, 2, 16, nhd, 500",
    "2, 16, hnd, 1, 32, hnd, 500",
    "8, 16, hnd, 4, 16, hnd, 500",
    "1, 16, hnd, 1, 16, cross-layer, 500",
    "1, 16, hnd, 2, 16, hnd, 200",
    "2, 16, hnd, 1, 16, hnd, 200",
    "1, 16, hnd, 1, 32, hnd, 200",
    "1, 16, nhd, 1, 32, nhd, 200",
    "4, 16, hnd, 8, 16, hnd, 200"
  })
  void pairing_vllm_acceptsWhatItsConnectorAccepts(
      int prefillTensor,
      int prefillBlock,
      String prefillLayout,
      int decodeTensor,
      int decodeBlock,
      String decodeLayout,
      int status) {
    SimulatedEngine prefill =
        engine(
            Pairing.VLLM,
            EngineInvariants.geometry(prefillTensor, prefillBlock, Layout.parse(prefillLayout)));
    SimulatedEngine decode =
        engine(
            Pairing.VLLM,
            EngineInvariants.geometry(decodeTensor, decodeBlock, Layout.parse(decodeLayout)));
    String prompt = Legs.prompt(50);
    assertThat(Legs.decode(decode, prompt, 4, Legs.prefill(prefill, prompt)).statusCode())
        .isEqualTo(status);
    clock.advance(Duration.ofSeconds(31));
  }

  @Test
  void pairing_vllmCpuAttentionUnequalBlocks_200AndWrong() {
    SimulatedEngine prefill =
        engine(Pairing.VLLM, EngineInvariants.geometry(1, 32, Layout.CPU_ATTENTION));
    SimulatedEngine decode =
        engine(Pairing.VLLM, EngineInvariants.geometry(1, 64, Layout.CPU_ATTENTION));
    SimulatedEngine one = engine(Pairing.ANY);
    String prompt = Legs.prompt(50);
    assertThat(Legs.disaggregated(prefill, decode, prompt, 4))
        .isNotEqualTo(Legs.aggregated(one, prompt, 4));
  }

  /** Blocks of 16 tokens into blocks of 64, of which the first ones may be cached already. */
  @ParameterizedTest
  @CsvSource({
    "nothing cached, 1, 135, true",
    "a block cached and the last one not full, 70, 135, false",
    "a block cached and the last one full of smaller ones, 70, 180, true"
  })
  void pairing_vllmPrefixHitInLargerBlocks_isRightOnlyIfTheTailIsFull(
      String name, int before, int tokens, boolean right) {
    SimulatedEngine prefill = engine(Pairing.VLLM, EngineInvariants.geometry(1, 16, Layout.HND));
    SimulatedEngine decode = engine(Pairing.VLLM, EngineInvariants.geometry(1, 64, Layout.HND));
    SimulatedEngine one = engine(Pairing.ANY);
    String first = Legs.prompt(before);
    assertThat(Legs.disaggregated(prefill, decode, first, 4))
        .isEqualTo(Legs.aggregated(one, first, 4));
    String prompt = Legs.prompt(tokens);
    assertThat(
            Legs.disaggregated(prefill, decode, prompt, 4).equals(Legs.aggregated(one, prompt, 4)))
        .isEqualTo(right);
  }

  @ParameterizedTest
  @ValueSource(strings = {"empty", "flat", "missing", "no-id", "few"})
  void paramsThatKillARealEngine_vllm_500AndTheEngineEnds(String fault) {
    SimulatedEngine decode = engine(Pairing.VLLM);
    HttpResponse<String> answer = sendFatal(decode, fault);
    assertThat(answer.statusCode()).isEqualTo(500);
    assertThat(answer.body()).isEqualTo(Recordings.text("error_empty.json").strip());
    EngineInvariants.await(() -> !Caller.reaches(decode));
  }

  @ParameterizedTest
  @ValueSource(strings = {"empty", "flat", "missing", "no-id", "few"})
  void paramsThatKillARealEngine_any_500AndTheEngineGoesOn(String fault) {
    SimulatedEngine decode = engine(Pairing.ANY);
    assertThat(sendFatal(decode, fault).statusCode()).isEqualTo(500);
    assertThat(Legs.aggregated(decode, "still there", 2)).isNotBlank();
  }

  private HttpResponse<String> sendFatal(SimulatedEngine decode, String fault) {
    SimulatedEngine prefill = engine(decode.config().pairing());
    String prompt = Legs.prompt(40);
    String params = Legs.prefill(prefill, prompt);
    String ids = "\"remote_block_ids\":\\[\\[[0-9,]*\\]\\]";
    String broken =
        switch (fault) {
          case "empty" -> params.replaceFirst(ids, "\"remote_block_ids\":[]");
          case "flat" -> params.replaceFirst(ids, "\"remote_block_ids\":[1,2,3]");
          case "missing" -> params.replaceFirst(ids + ",", "");
          case "no-id" -> params.replaceFirst("\"remote_request_id\":\"[^\"]*\",", "");
          case "few" -> params.replaceFirst(ids, "\"remote_block_ids\":[[1]]");
          default -> throw new AssertionError(fault);
        };
    HttpResponse<String> answer = Legs.decode(decode, prompt, 4, broken);
    clock.advance(Duration.ofSeconds(31));
    return answer;
  }
}
