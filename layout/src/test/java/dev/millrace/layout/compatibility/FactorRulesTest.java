package dev.millrace.layout.compatibility;

import static dev.millrace.layout.compatibility.TestEngines.WHERE;
import static dev.millrace.layout.compatibility.TestEngines.dense;
import static dev.millrace.layout.compatibility.TestEngines.hybrid;
import static dev.millrace.layout.compatibility.Verdicts.engine;
import static dev.millrace.layout.compatibility.Verdicts.missing;
import static dev.millrace.layout.compatibility.Verdicts.noted;
import static dev.millrace.layout.compatibility.Verdicts.reason;
import static dev.millrace.layout.compatibility.Verdicts.refusing;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.CompatibilityHash.Speculation;
import dev.millrace.layout.Layout;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The factors of the hash, where engines compare them themselves. */
class FactorRulesTest {
  private static final String A = "aa".repeat(32);
  private static final String B = "bb".repeat(32);

  private static EngineProfile.Builder hash(EngineProfile.Builder engine, String hash) {
    return engine.probe(Fact.HASH, hash, "handshake");
  }

  private static EngineProfile.Builder notInsisting(EngineProfile.Builder engine) {
    return engine.declare(
        Fact.CONNECTOR,
        ConnectorConfig.named("NixlConnector").withExtra("enforce_handshake_compat", false),
        WHERE);
  }

  private static SpeculativeSetup eagle(String model, int tokens) {
    return new SpeculativeSetup(
        "eagle",
        Optional.of(new Speculation("eagle", model, null, null, false, "auto", null)),
        Optional.of(tokens));
  }

  private static SpeculativeSetup ngram(int tokens) {
    return new SpeculativeSetup("ngram", Optional.empty(), Optional.of(tokens));
  }

  static Stream<Arguments> changes() {
    return Stream.of(
        change(Rule.MODEL, engine -> engine.declare(Fact.MODEL, "/models/model", WHERE)),
        change(
            Rule.MODEL_SHAPE,
            engine -> engine.declareGeometry(TestEngines.geometry("heads=4"), WHERE)),
        change(
            Rule.MODEL_SHAPE,
            engine -> engine.declareGeometry(TestEngines.geometry("head-size=64"), WHERE)),
        change(
            Rule.MODEL_SHAPE,
            engine -> engine.declareGeometry(TestEngines.geometry("layers=28"), WHERE)),
        change(
            Rule.DTYPE,
            engine ->
                engine
                    .declareGeometry(TestEngines.geometry("dtype=fp16"), WHERE)
                    .declare(Fact.DTYPE, "torch.float16", WHERE)),
        change(Rule.CACHE_DTYPE, engine -> engine.declare(Fact.CACHE_DTYPE, "bfloat16", WHERE)),
        change(Rule.VLLM_VERSION, engine -> engine.declare(Fact.VLLM_VERSION, "0.32.1", WHERE)),
        change(
            Rule.ATTENTION_BACKEND,
            engine -> engine.declare(Fact.ATTENTION_BACKEND, "TRITON_ATTN", WHERE)),
        change(
            Rule.TRANSFER_MODE,
            engine -> engine.declare(Fact.TRANSFER_MODE, TransferMode.PUSH, WHERE)),
        change(Rule.SPECULATION, engine -> engine.declare(Fact.SPECULATION, eagle("d", 3), WHERE)),
        change(
            Rule.HYBRID_CACHE_MANAGER,
            engine -> engine.declare(Fact.HYBRID_CACHE_MANAGER, false, WHERE)));
  }

  private static Arguments change(Rule rule, UnaryOperator<EngineProfile.Builder> change) {
    return Arguments.of(rule, change);
  }

  @ParameterizedTest
  @MethodSource("changes")
  void aFactorThatDiffers_isTheOneReason(Rule rule, UnaryOperator<EngineProfile.Builder> change) {
    assertThat(refusing(engine(dense("P"), change.apply(dense("D"))))).containsExactly(rule);
    assertThat(refusing(engine(change.apply(dense("P")), dense("D")))).containsExactly(rule);
  }

  @ParameterizedTest
  @MethodSource("changes")
  void aFactorChangedOnBothSides_isNone(Rule rule, UnaryOperator<EngineProfile.Builder> change) {
    assertThat(engine(change.apply(dense("P")), change.apply(dense("D"))).fits()).isTrue();
  }

  @Test
  void reason_hasBothValuesSourceAndRemedy() {
    Reason reason =
        reason(
            engine(dense("P"), dense("D").declare(Fact.CACHE_DTYPE, "bfloat16", WHERE)),
            Rule.CACHE_DTYPE);

    assertThat(reason)
        .isEqualTo(
            new Reason(
                Rule.CACHE_DTYPE,
                "auto",
                "bfloat16",
                "vLLM v0.32 nixl/metadata.py compute_nixl_compatibility_hash",
                "start both engines with the same --kv-cache-dtype"));
    assertThat(reason).hasToString("cache-dtype: prefill auto, decode bfloat16");
  }

  @Test
  void severalFactors_areAllReported_theMostFundamentalFirst() {
    EngineProfile.Builder decode =
        dense("D")
            .declare(Fact.HYBRID_CACHE_MANAGER, false, WHERE)
            .declare(Fact.ATTENTION_BACKEND, "TRITON_ATTN", WHERE)
            .declare(Fact.MODEL, "/models/model", WHERE)
            .declare(Fact.VLLM_VERSION, "0.31.0", WHERE);

    assertThat(refusing(engine(dense("P"), decode)))
        .containsExactly(
            Rule.MODEL,
            Rule.VLLM_VERSION,
            Rule.CONNECTOR_VERSION,
            Rule.ATTENTION_BACKEND,
            Rule.HYBRID_CACHE_MANAGER);
  }

  @Nested
  class Speculating {
    private static Verdict judge(String vllm, SpeculativeSetup prefill, SpeculativeSetup decode) {
      return engine(
          dense("P")
              .declare(Fact.VLLM_VERSION, vllm, WHERE)
              .declare(Fact.SPECULATION, prefill, WHERE),
          dense("D")
              .declare(Fact.VLLM_VERSION, vllm, WHERE)
              .declare(Fact.SPECULATION, decode, WHERE));
    }

    @Test
    void otherDraftModels_areRefused() {
      assertThat(refusing(judge("0.32.0", eagle("a", 3), eagle("b", 3))))
          .containsExactly(Rule.SPECULATION);
      assertThat(refusing(judge("0.24.0", eagle("a", 3), eagle("b", 3))))
          .containsExactly(Rule.SPECULATION);
    }

    @Test
    void otherNumbersOfTokens_areRefusedByOldReleasesOnly() {
      assertThat(judge("0.32.0", eagle("a", 3), eagle("a", 5)).fits()).isTrue();
      assertThat(judge("0.28.0", eagle("a", 3), eagle("a", 5)).fits()).isTrue();
      assertThat(refusing(judge("0.27.0", eagle("a", 3), eagle("a", 5))))
          .containsExactly(Rule.SPECULATION);
    }

    @Test
    void methodsWithoutADraftModel_mayDifferInNewReleases() {
      assertThat(judge("0.32.0", ngram(3), SpeculativeSetup.NONE).fits()).isTrue();
      assertThat(refusing(judge("0.24.0", ngram(3), SpeculativeSetup.NONE)))
          .containsExactly(Rule.SPECULATION);
    }

    @Test
    void setups_areSaidInWords() {
      assertThat(eagle("org/draft", 3)).hasToString("eagle org/draft of 3 tokens");
      assertThat(SpeculativeSetup.NONE).hasToString("none");
    }
  }

  @Nested
  class HashesKnown {
    @Test
    void equalHashes_needNoFactors() {
      EngineProfile.Builder prefill = hash(sizes("P"), A);
      EngineProfile.Builder decode = hash(sizes("D"), A);

      assertThat(engine(prefill, decode)).isEqualTo(new Verdict.Fits());
    }

    @Test
    void unknownHashes_needThemAll() {
      assertThat(missing(engine(sizes("P"), hash(sizes("D"), A))))
          .contains(
              "prefill: model",
              "decode: model",
              "prefill: hidden-layers",
              "prefill: dtype",
              "decode: attention-backend")
          .doesNotContain("prefill: tensor-parallel", "prefill: speculation");
    }

    private static EngineProfile.Builder sizes(String name) {
      return EngineProfile.named(name)
          .probe(Fact.VLLM_VERSION, "0.32.0", "GET /version")
          .probe(Fact.TENSOR_PARALLEL, 1, "tp_size")
          .probe(Fact.KERNEL_BLOCK_SIZE, 16, "handshake")
          .probe(Fact.LAYOUT, Layout.HND, "handshake");
    }

    @Test
    void equalHashes_stillNeedTheVersion() {
      EngineProfile.Builder prefill =
          hash(sizes("P").probe(Fact.VLLM_VERSION, "0.25.0", "GET /version"), A);
      EngineProfile.Builder decode =
          hash(sizes("D").probe(Fact.VLLM_VERSION, "0.25.0", "GET /version"), A);

      assertThat(missing(engine(prefill, decode)))
          .containsExactly("prefill: connector-version", "decode: connector-version");
    }

    @Test
    void unequalHashes_areAReason_whateverElseIsKnown() {
      Reason reason =
          reason(engine(hash(dense("P"), A), hash(dense("D"), B)), Rule.COMPATIBILITY_HASH);

      assertThat(reason.prefill()).isEqualTo(A);
      assertThat(reason.decode()).isEqualTo(B);
      assertThat(reason.remedy()).startsWith("what differs is not found: the hash of P is not");
    }

    @Test
    void unequalHashes_areExplained() {
      EngineProfile prefill = dense("P").build();
      EngineProfile decode = dense("D").declare(Fact.CACHE_DTYPE, "bfloat16", WHERE).build();

      Verdict verdict = engine(hash(dense("P"), hex(prefill)), hash(dense("D"), hex(decode)));

      assertThat(refusing(verdict)).containsExactly(Rule.COMPATIBILITY_HASH);
      assertThat(reason(verdict, Rule.COMPATIBILITY_HASH).remedy())
          .isEqualTo(
              "they differ in cache_dtype (prefill \"auto\", decode \"bfloat16\"); make both engines"
                  + " agree on that, or let an agent stand between");
    }

    private static String hex(EngineProfile engine) {
      return HashFactors.of(engine::value).hash().orElseThrow().hex();
    }

    @Test
    void unequalHashes_comeAfterTheFactorsThatAreKnownToDiffer() {
      assertThat(
              refusing(
                  engine(
                      hash(dense("P"), A),
                      hash(dense("D").declare(Fact.MODEL, "/models/model", WHERE), B))))
          .containsExactly(Rule.MODEL, Rule.COMPATIBILITY_HASH);
    }

    @Test
    void equalHashesOfDifferentDeclarations_areAContradiction() {
      Verdict verdict =
          engine(
              hash(dense("P"), A), hash(dense("D").declare(Fact.MODEL, "/models/model", WHERE), A));

      assertThat(refusing(verdict)).containsExactly(Rule.CONTRADICTION);
      assertThat(reason(verdict, Rule.CONTRADICTION).prefill()).startsWith("model org/model");
    }

    @Test
    void equalHashes_doNotSpeakForWhatTheyDoNotHave() {
      EngineProfile.Builder prefill =
          hash(dense("P").declare(Fact.VLLM_VERSION, "0.27.0", WHERE), A);
      EngineProfile.Builder decode =
          hash(
              dense("D")
                  .declare(Fact.VLLM_VERSION, "0.27.0", WHERE)
                  .declare(Fact.TRANSFER_MODE, TransferMode.PUSH, WHERE),
              A);

      assertThat(refusing(engine(prefill, decode))).containsExactly(Rule.TRANSFER_MODE);
    }

    @Test
    void hybridCacheManager_isNoFactorOfTheFirstVersion() {
      EngineProfile.Builder prefill = dense("P").declare(Fact.CONNECTOR_VERSION, 1, WHERE);
      EngineProfile.Builder decode =
          dense("D")
              .declare(Fact.CONNECTOR_VERSION, 1, WHERE)
              .declare(Fact.HYBRID_CACHE_MANAGER, true, WHERE);

      assertThat(
              engine(
                      prefill.declare(Fact.VLLM_VERSION, "0.13.0", WHERE),
                      decode.declare(Fact.VLLM_VERSION, "0.13.0", WHERE))
                  .fits())
          .isTrue();
    }
  }

  @Nested
  class NotInsisting {
    @ParameterizedTest
    @CsvSource({"MODEL, /models/model, MODEL", "VLLM_VERSION, 0.32.1, VLLM_VERSION"})
    void whatStandsForSomethingElse_isNoted(String name, String value, Rule rule)
        throws ReflectiveOperationException {
      @SuppressWarnings("unchecked") // Both are strings.
      Fact<String> fact = (Fact<String>) Fact.class.getField(name).get(null);

      Verdict verdict = engine(dense("P").declare(fact, value, WHERE), notInsisting(dense("D")));

      assertThat(noted(verdict)).containsExactly(rule, Rule.COMPATIBILITY_HASH);
      assertThat(((Verdict.FitsWith) verdict).notes())
          .extracting(Note::attention)
          .containsExactly(Note.Attention.CANARY, Note.Attention.READ);
    }

    @Test
    void onlyTheReaderCounts() {
      assertThat(
              refusing(
                  engine(
                      notInsisting(dense("P")),
                      dense("D").declare(Fact.MODEL, "/models/model", WHERE))))
          .containsExactly(Rule.MODEL);
    }

    static Stream<Arguments> bytes() {
      return changes()
          .filter(change ->
              change.get()[0] != Rule.MODEL
                  && change.get()[0] != Rule.VLLM_VERSION
                  && change.get()[0] != Rule.HYBRID_CACHE_MANAGER);
    }

    @ParameterizedTest
    @MethodSource("bytes")
    void whatChangesBytes_isRefusedAllTheSame(
        Rule rule, UnaryOperator<EngineProfile.Builder> change) {
      assertThat(refusing(engine(change.apply(dense("P")), notInsisting(dense("D")))))
          .contains(rule);
    }

    @Test
    void anotherConnectorVersion_isRefused() {
      assertThat(
              refusing(
                  engine(
                      dense("P").declare(Fact.VLLM_VERSION, "0.31.0", WHERE),
                      notInsisting(dense("D")))))
          .containsExactly(Rule.CONNECTOR_VERSION);
    }

    @Test
    void hybridCacheManager_isNotedWhereThereIsOneGroup() {
      assertThat(
              noted(
                  engine(
                      dense("P").declare(Fact.HYBRID_CACHE_MANAGER, false, WHERE),
                      notInsisting(dense("D")))))
          .contains(Rule.HYBRID_CACHE_MANAGER);
      assertThat(
              refusing(
                  engine(
                      hybrid("P").declare(Fact.HYBRID_CACHE_MANAGER, false, WHERE),
                      notInsisting(hybrid("D")))))
          .contains(Rule.HYBRID_CACHE_MANAGER);
    }

    @Test
    void unequalHashes_areNoted() {
      Verdict verdict = engine(hash(dense("P"), A), hash(notInsisting(dense("D")), B));

      assertThat(noted(verdict)).containsExactly(Rule.COMPATIBILITY_HASH);
      assertThat(((Verdict.FitsWith) verdict).notes().getFirst())
          .matches(note -> note.attention() == Note.Attention.CANARY)
          .matches(note -> note.text().startsWith("the hashes differ"));
    }
  }

  @Nested
  class Models {
    @Test
    void contradiction_isTheFirstReason() {
      Verdict verdict =
          engine(
              dense("P")
                  .declare(Fact.MODEL, "other", WHERE)
                  .probe(Fact.TENSOR_PARALLEL, 2, "tp_size"),
              dense("D"));

      assertThat(refusing(verdict)).containsExactly(Rule.CONTRADICTION, Rule.MODEL);
      assertThat(reason(verdict, Rule.CONTRADICTION))
          .isEqualTo(
              new Reason(
                  Rule.CONTRADICTION,
                  "tensor-parallel is 1 (routes.yaml:1:1) and 2 (tp_size)",
                  "-",
                  Rule.CONTRADICTION.source(),
                  "correct the declaration of tensor-parallel, or restart the engine as it is"
                      + " declared"));
    }

    @Test
    void contradictionOfTheDecodeEngine_isOnItsSide() {
      Reason reason =
          reason(
              engine(dense("P"), dense("D").probe(Fact.TENSOR_PARALLEL, 2, "tp_size")),
              Rule.CONTRADICTION);

      assertThat(reason.prefill()).isEqualTo("-");
      assertThat(reason.decode()).startsWith("tensor-parallel is 1");
    }

    @Test
    void connectorWithoutNixl_isRefused() {
      Verdict verdict =
          engine(
              dense("P").declare(Fact.CONNECTOR, ConnectorConfig.named("Strange"), WHERE),
              dense("D"));

      assertThat(reason(verdict, Rule.NIXL_CONNECTOR).prefill()).isEqualTo("Strange");
      assertThat(reason(verdict, Rule.NIXL_CONNECTOR).decode()).isEqualTo("not known");
      assertThat(
              refusing(
                  engine(
                      dense("P"),
                      dense("D").declare(Fact.CONNECTOR, ConnectorConfig.named("Strange"), WHERE))))
          .contains(Rule.NIXL_CONNECTOR);
    }

    @Test
    void encoderDecoder_onEitherSide_isRefused() {
      for (Way way : Way.values()) {
        assertThat(
                refusing(
                    Compatibility.check(
                        as(Architecture.ENCODER_DECODER, "P"), dense("D").build(), way)))
            .startsWith(Rule.ARCHITECTURE);
        assertThat(
                refusing(
                    Compatibility.check(
                        dense("P").build(), as(Architecture.ENCODER_DECODER, "D"), way)))
            .startsWith(Rule.ARCHITECTURE);
      }
    }

    @Test
    void otherClasses_areRefused() {
      assertThat(
              refusing(
                  Compatibility.check(as(Architecture.MOE, "P"), dense("D").build(), Way.ENGINE)))
          .containsExactly(Rule.ARCHITECTURE);
      assertThat(
              Compatibility.check(as(Architecture.MOE, "P"), as(Architecture.MOE, "D"), Way.ENGINE)
                  .fits())
          .isTrue();
    }

    @Test
    void multimodal_isNotValidated() {
      for (Way way : Way.values()) {
        assertThat(
                missing(
                    Compatibility.check(
                        as(Architecture.MULTIMODAL, "P"), as(Architecture.MULTIMODAL, "D"), way)))
            .containsExactly("prefill: validation of hand-offs for multimodal models");
      }
    }

    private static EngineProfile as(Architecture architecture, String name) {
      return dense(name).declare(Fact.ARCHITECTURE, architecture, WHERE).build();
    }

    @ParameterizedTest
    @CsvSource({"MODEL_REVISION", "ROPE"})
    void whatVllmDoesNotCompare_isComparedWhereItIsKnown(String name)
        throws ReflectiveOperationException {
      @SuppressWarnings("unchecked") // Both are strings.
      Fact<String> fact = (Fact<String>) Fact.class.getField(name).get(null);

      assertThat(
              refusing(
                  engine(
                      dense("P").declare(fact, "a", WHERE), dense("D").declare(fact, "b", WHERE))))
          .containsExactly(Rule.valueOf(name));
      assertThat(engine(dense("P").declare(fact, "a", WHERE), dense("D")).fits()).isTrue();
      assertThat(
              engine(dense("P").declare(fact, "a", WHERE), dense("D").declare(fact, "a", WHERE))
                  .fits())
          .isTrue();
    }

    @Test
    void dynamicScales_areRefused() {
      assertThat(
              refusing(
                  engine(
                      dense("P").declare(Fact.KV_SCALES, KvScales.DYNAMIC, WHERE),
                      dense("D").declare(Fact.KV_SCALES, KvScales.DYNAMIC, WHERE))))
          .containsExactly(Rule.KV_SCALES);
      assertThat(
              refusing(
                  engine(dense("P"), dense("D").declare(Fact.KV_SCALES, KvScales.DYNAMIC, WHERE))))
          .containsExactly(Rule.KV_SCALES);
    }

    @Test
    void scalesInOtherPlaces_areRefused() {
      Verdict verdict =
          engine(
              dense("P").declare(Fact.KV_SCALES, KvScales.STATIC, WHERE),
              dense("D").declare(Fact.KV_SCALES, KvScales.INLINE, WHERE));

      assertThat(refusing(verdict)).containsExactly(Rule.KV_SCALES);
      assertThat(reason(verdict, Rule.KV_SCALES).prefill()).isEqualTo("static");
    }

    @ParameterizedTest
    @CsvSource({"STATIC", "INLINE"})
    void staticAndInlineScales_fit(KvScales scales) {
      assertThat(
              engine(
                      dense("P").declare(Fact.KV_SCALES, scales, WHERE),
                      dense("D").declare(Fact.KV_SCALES, scales, WHERE))
                  .fits())
          .isTrue();
    }
  }

  @Nested
  class NixlVersions {
    private static Verdict judge(String prefill, String decode) {
      return engine(
          dense("P").declare(Fact.NIXL_VERSION, prefill, WHERE),
          dense("D").declare(Fact.NIXL_VERSION, decode, WHERE));
    }

    @Test
    void releasesThatWereTried_areJudgedByThat() {
      assertThat(judge("1.5.1", "1.5.1")).isEqualTo(new Verdict.Fits());
      assertThat(judge("1.0.0", "1.0.0")).isEqualTo(new Verdict.Fits());
      assertThat(judge("1.4.0", "1.5.1")).isEqualTo(new Verdict.Fits());
      assertThat(judge("1.5.1", "1.4.0")).isEqualTo(new Verdict.Fits());
      assertThat(refusing(judge("1.0.0", "1.5.1"))).containsExactly(Rule.NIXL_VERSION);
      assertThat(refusing(judge("1.5.1", "0.10.1"))).containsExactly(Rule.NIXL_VERSION);
    }

    @Test
    void othersNeedACanary() {
      assertThat(noted(judge("1.3.2", "1.5.1"))).containsExactly(Rule.NIXL_VERSION);
      assertThat(noted(judge("1.5.1", "1.3.2"))).containsExactly(Rule.NIXL_VERSION);
    }
  }

  @Test
  void everyFactor_saysWhetherAnAgentMayStandIn() {
    assertThat(Stream.of(HashFactor.values()))
        .allSatisfy(factor -> assertThat(factor.condition()).isNotBlank());
    assertThat(
            Stream.of(HashFactor.values())
                .filter(factor -> factor.mayDiffer() == HashFactor.MayDiffer.NEVER))
        .containsExactly(
            HashFactor.NUM_KV_HEADS,
            HashFactor.HEAD_SIZE,
            HashFactor.NUM_HIDDEN_LAYERS,
            HashFactor.DTYPE,
            HashFactor.TRANSFER_MODE,
            HashFactor.SPECULATIVE_CONFIG);
    assertThat(
            Stream.of(HashFactor.values())
                .filter(factor -> factor.mayDiffer() == HashFactor.MayDiffer.BY_DECLARATION))
        .containsExactly(HashFactor.VLLM_VERSION, HashFactor.NIXL_CONNECTOR_VERSION);
  }

  @Test
  void contradictingConnectors_areReportedOnceEach() {
    EngineProfile.Builder prefill =
        dense("P")
            .declare(
                Fact.CONNECTOR,
                ConnectorConfig.of(Map.of("kv_connector", "NixlPushConnector")),
                WHERE)
            .probe(Fact.TRANSFER_MODE, TransferMode.PULL, "transfer_mode");

    assertThat(refusing(engine(prefill, dense("D")))).isEqualTo(List.of(Rule.CONTRADICTION));
  }
}
