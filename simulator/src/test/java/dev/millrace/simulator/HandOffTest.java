package dev.millrace.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import java.net.http.HttpResponse;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The disaggregated answer is the aggregated answer. */
class HandOffTest {
  @RegisterExtension private final EngineInvariants engines = new EngineInvariants();

  private SimulatedEngine engine(EngineRole role, GeometrySpec geometry) {
    return engines.start(c -> c.role(role).geometry(geometry));
  }

  private SimulatedEngine engine(EngineRole role) {
    return engine(role, EngineInvariants.geometry(1, 16, Layout.HND));
  }

  @ParameterizedTest
  @CsvSource({
    "1, 16, hnd, 1, 16, hnd",
    "1, 16, hnd, 2, 16, hnd",
    "2, 16, hnd, 1, 16, hnd",
    "4, 16, hnd, 2, 32, hnd",
    "1, 32, hnd, 4, 8, nhd",
    "8, 16, hnd, 4, 16, hnd",
    "4, 16, hnd, 8, 16, hnd",
    "2, 16, cross-layer, 1, 16, hnd",
    "1, 16, nhd, 2, 16, cross-layer-lhn",
    "2, 32, cpu, 1, 64, cpu",
    "1, 64, cpu, 2, 32, nhd",
    "2, 16, hnd-separate, 4, 8, hnd-split",
    "1, 24, head-major, 2, 16, cross-layer-lnh"
  })
  void answer_acrossGeometries_equalsAggregated(
      int prefillTensor,
      int prefillBlock,
      String prefillLayout,
      int decodeTensor,
      int decodeBlock,
      String decodeLayout) {
    SimulatedEngine prefill =
        engine(
            EngineRole.PREFILL,
            EngineInvariants.geometry(prefillTensor, prefillBlock, Layout.parse(prefillLayout)));
    SimulatedEngine decode =
        engine(
            EngineRole.DECODE,
            EngineInvariants.geometry(decodeTensor, decodeBlock, Layout.parse(decodeLayout)));
    SimulatedEngine one = engine(EngineRole.BOTH);
    for (int tokens : new int[] {1, 31, 32, 33, 100}) {
      String prompt = Legs.prompt(tokens);
      assertThat(Legs.disaggregated(prefill, decode, prompt, 20))
          .as("%d tokens", tokens)
          .isEqualTo(Legs.aggregated(one, prompt, 20));
    }
    assertThat(decode.stats().prefillTokensComputed()).isZero();
    assertThat(decode.stats().promptTokensByExternalTransfer()).isPositive();
    assertThat(decode.stats().bytesTransferred()).isPositive();
  }

  @ParameterizedTest
  @ValueSource(strings = {"CorruptByte", "SwapBlocks", "DropLastBlock", "ShiftByOneToken"})
  void answer_anyByteWrong_isAnother(String what) {
    Misbehaviour misbehaviour =
        switch (what) {
          case "CorruptByte" -> new Misbehaviour.CorruptByte();
          case "SwapBlocks" -> new Misbehaviour.SwapBlocks();
          case "DropLastBlock" -> new Misbehaviour.DropLastBlock();
          case "ShiftByOneToken" -> new Misbehaviour.ShiftByOneToken();
          default -> throw new AssertionError(what);
        };
    SimulatedEngine prefill = engine(EngineRole.PREFILL);
    SimulatedEngine decode =
        engine(EngineRole.DECODE, EngineInvariants.geometry(2, 16, Layout.NHD));
    SimulatedEngine one = engine(EngineRole.BOTH);
    decode.misbehave(misbehaviour);
    String prompt = Legs.prompt(50);
    assertThat(Legs.disaggregated(prefill, decode, prompt, 3))
        .isNotEqualTo(Legs.aggregated(one, prompt, 3));
  }

  @Test
  void answer_oneReplicaWrong_isAnother() {
    SimulatedEngine prefill = engine(EngineRole.PREFILL);
    SimulatedEngine decode =
        engine(EngineRole.DECODE, EngineInvariants.geometry(8, 16, Layout.HND));
    SimulatedEngine one = engine(EngineRole.BOTH);
    // Eight ranks keep four heads twice; the misbehaviour strikes one of the copies.
    decode.misbehave(new Misbehaviour.CorruptByte());
    String prompt = Legs.prompt(50);
    assertThat(Legs.disaggregated(prefill, decode, prompt, 3))
        .isNotEqualTo(Legs.aggregated(one, prompt, 3));
  }

  @Test
  void answer_prefillLiesAboutGeometry_isAnother() {
    SimulatedEngine prefill = engine(EngineRole.PREFILL);
    SimulatedEngine decode = engine(EngineRole.DECODE);
    SimulatedEngine one = engine(EngineRole.BOTH);
    prefill.misbehave(new Misbehaviour.LieAboutGeometry());
    String prompt = Legs.prompt(50);
    assertThat(Legs.disaggregated(prefill, decode, prompt, 3))
        .isNotEqualTo(Legs.aggregated(one, prompt, 3));
  }

  @Test
  void prefixHitOnDecode_onlyTheRestIsRead() {
    SimulatedEngine prefill = engine(EngineRole.PREFILL);
    SimulatedEngine decode = engine(EngineRole.DECODE);
    SimulatedEngine one = engine(EngineRole.BOTH);
    Legs.disaggregated(prefill, decode, Legs.prompt(64), 4);
    long before = decode.stats().bytesTransferred();
    String prompt = Legs.prompt(80);
    String answer = Legs.disaggregated(prefill, decode, prompt, 12);
    assertThat(answer).isEqualTo(Legs.aggregated(one, prompt, 12));
    long tokenBytes = decode.config().geometry().model().bytesPerToken();
    assertThat(decode.stats().bytesTransferred() - before).isEqualTo(16 * tokenBytes);
    assertThat(decode.stats().promptTokensByLocalCache()).isEqualTo(64);
  }

  @Test
  void fullHitOnDecode_nothingIsReadAndPrefillIsReleased() {
    SimulatedEngine prefill = engine(EngineRole.PREFILL);
    SimulatedEngine decode =
        engine(EngineRole.DECODE, EngineInvariants.geometry(2, 16, Layout.HND));
    String prompt = Legs.prompt(64);
    String first = Legs.disaggregated(prefill, decode, prompt, 4);
    EngineInvariants.await(() -> prefill.stats().releasedHandoffs() == 1);
    long before = decode.stats().bytesTransferred();
    assertThat(Legs.disaggregated(prefill, decode, prompt, 4)).isEqualTo(first);
    assertThat(decode.stats().bytesTransferred()).isEqualTo(before);
    EngineInvariants.await(() -> prefill.stats().releasedHandoffs() == 2);
  }

  @Test
  void decodeWithoutParams_computesAllItself() {
    SimulatedEngine decode = engine(EngineRole.DECODE);
    Legs.aggregated(decode, Legs.prompt(40), 4);
    assertThat(decode.stats().prefillTokensComputed()).isEqualTo(40);
    assertThat(Caller.get(decode, "/metrics").body())
        .contains(
            "vllm:prompt_tokens_by_source_total{engine=\"0\",model_name=\"tiny\",source=\"local_compute\"} 40.0\n")
        .contains(
            "vllm:prompt_tokens_by_source_total{engine=\"0\",model_name=\"tiny\",source=\"external_kv_transfer\"} 0.0\n");
  }

  @Test
  void chatStreamed_acrossEngines_equalsAggregated() {
    SimulatedEngine prefill = engine(EngineRole.PREFILL);
    SimulatedEngine decode =
        engine(EngineRole.DECODE, EngineInvariants.geometry(2, 32, Layout.NHD));
    SimulatedEngine one = engine(EngineRole.BOTH);
    String body =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"What is a cache?\"}],\"max_tokens\":12}";
    String params =
        Json.raw(
            Caller.post(
                    prefill,
                    "/v1/chat/completions",
                    Legs.with(
                        body.replace("\"max_tokens\":12", "\"max_tokens\":1"),
                        "kv_transfer_params",
                        Legs.ASK_PREFILL))
                .body(),
            "kv_transfer_params");
    String expected =
        Json.at(Caller.post(one, "/v1/chat/completions", body).body(), "choices[].message.content");
    String stream =
        Caller.post(
                decode,
                "/v1/chat/completions",
                Legs.with(Legs.with(body, "kv_transfer_params", params), "stream", "true"))
            .body();
    StringBuilder text = new StringBuilder();
    for (String event : Caller.events(stream)) {
      if (!event.equals("[DONE]")) {
        text.append(Json.at(event, "choices[].delta.content"));
      }
    }
    assertThat(text.toString()).isEqualTo(expected);
  }

  @Test
  void manyAtOnce_moreThanBlocks_allEqualAggregated() {
    SimulatedEngine prefill =
        engine(EngineRole.PREFILL, EngineInvariants.geometry(2, 16, Layout.HND, 33));
    SimulatedEngine decode =
        engine(EngineRole.DECODE, EngineInvariants.geometry(1, 32, Layout.NHD, 13));
    SimulatedEngine one = engine(EngineRole.BOTH);
    var answers =
        IntStream.range(0, 40)
            .mapToObj(i ->
                CompletableFuture.supplyAsync(() -> {
                  String prompt = Legs.prompt(20 + 3 * (i % 20)) + i / 20;
                  String expected = Legs.aggregated(one, prompt, 6);
                  String actual = Legs.disaggregated(prefill, decode, prompt, 6);
                  return actual.equals(expected) ? "" : prompt;
                }))
            .toList();
    assertThat(answers).extracting(CompletableFuture::join).containsOnly("");
    EngineInvariants.await(() -> prefill.stats().releasedHandoffs() == 40);
  }

  @Test
  void close_afterVertxIsClosed_completes() throws Exception {
    SimulatedEngine engine = engine(EngineRole.BOTH);
    engines.vertx().close().toCompletionStage().toCompletableFuture().get(20, TimeUnit.SECONDS);
    engine.close().toCompletionStage().toCompletableFuture().get(20, TimeUnit.SECONDS);
    assertThat(Caller.reaches(engine)).isFalse();
  }

  @Test
  void severalChoices_onDecode_loadOnce() {
    SimulatedEngine prefill = engine(EngineRole.PREFILL);
    SimulatedEngine decode = engine(EngineRole.DECODE);
    SimulatedEngine one = engine(EngineRole.BOTH);
    String prompt = Legs.prompt(50);
    String several = Legs.with(Legs.body(prompt, 5), "n", "2");
    String params = Legs.prefill(prefill, prompt);
    HttpResponse<String> answer =
        Caller.complete(decode, Legs.with(several, "kv_transfer_params", params));
    assertThat(Json.all(answer.body(), "choices[].text"))
        .isEqualTo(Json.all(Caller.complete(one, several).body(), "choices[].text"));
  }
}
