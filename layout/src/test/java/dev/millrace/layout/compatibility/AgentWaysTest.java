package dev.millrace.layout.compatibility;

import static dev.millrace.layout.compatibility.TestEngines.WHERE;
import static dev.millrace.layout.compatibility.TestEngines.dense;
import static dev.millrace.layout.compatibility.TestEngines.hybrid;
import static dev.millrace.layout.compatibility.TestEngines.latent;
import static dev.millrace.layout.compatibility.Verdicts.bridge;
import static dev.millrace.layout.compatibility.Verdicts.engine;
import static dev.millrace.layout.compatibility.Verdicts.missing;
import static dev.millrace.layout.compatibility.Verdicts.noted;
import static dev.millrace.layout.compatibility.Verdicts.reason;
import static dev.millrace.layout.compatibility.Verdicts.refusing;
import static dev.millrace.layout.compatibility.Verdicts.relay;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.CacheGroup;
import dev.millrace.layout.CompatibilityHash.Speculation;
import dev.millrace.layout.ElementType;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** What an agent can mend, without a copy and with one, and what it cannot. */
class AgentWaysTest {
  private static EngineProfile.Builder layout(EngineProfile.Builder engine, Layout layout) {
    return engine.declare(Fact.LAYOUT, layout, WHERE);
  }

  private static EngineProfile.Builder tp(EngineProfile.Builder engine, int ranks) {
    return engine.declare(Fact.TENSOR_PARALLEL, ranks, WHERE);
  }

  private static EngineProfile.Builder block(EngineProfile.Builder engine, int tokens) {
    return engine.declare(Fact.BLOCK_SIZE, tokens, WHERE);
  }

  private static EngineProfile.Builder vllm(EngineProfile.Builder engine, String version) {
    return engine.declare(Fact.VLLM_VERSION, version, WHERE);
  }

  private static Verdict by(Way way, EngineProfile.Builder prefill, EngineProfile.Builder decode) {
    return Compatibility.check(prefill.build(), decode.build(), way);
  }

  private static EngineProfile.Builder cpu(String name, int block) {
    return block(dense(name), block)
        .declare(Fact.ATTENTION_BACKEND, "CPU_ATTN", WHERE)
        .declare(Fact.LAYOUT, Layout.CPU_ATTENTION, WHERE);
  }

  /** Whatever the hash says of it, other bytes or another meaning are for no agent. */
  @Nested
  class Never {
    static Stream<Arguments> changes() {
      return Stream.of(
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
          change(
              Rule.CACHE_DTYPE,
              engine ->
                  engine
                      .declareGeometry(TestEngines.geometry("dtype=fp8_e4m3"), WHERE)
                      .declare(Fact.CACHE_DTYPE, "fp8", WHERE)),
          change(Rule.MODEL_REVISION, engine -> engine.declare(Fact.MODEL_REVISION, "r2", WHERE)),
          change(Rule.ROPE, engine -> engine.declare(Fact.ROPE, "yarn", WHERE)),
          change(Rule.KV_SCALES, engine -> engine.declare(Fact.KV_SCALES, KvScales.DYNAMIC, WHERE)),
          change(Rule.VLLM_VERSION, engine -> engine.declare(Fact.VLLM_VERSION, "0.32.1", WHERE)),
          change(
              Rule.TRANSFER_MODE,
              engine -> engine.declare(Fact.TRANSFER_MODE, TransferMode.PUSH, WHERE)),
          change(
              Rule.SPECULATION,
              engine ->
                  engine.declare(
                      Fact.SPECULATION,
                      new SpeculativeSetup(
                          "eagle",
                          Optional.of(
                              new Speculation("eagle", "d", null, null, false, "auto", null)),
                          Optional.empty()),
                      WHERE)),
          change(
              Rule.ATTENTION_BACKEND,
              engine -> engine.declare(Fact.ATTENTION_BACKEND, "FLEX_ATTENTION", WHERE)));
    }

    private static Arguments change(Rule rule, UnaryOperator<EngineProfile.Builder> change) {
      return Arguments.of(rule, change);
    }

    private static EngineProfile.Builder said(String name) {
      return dense(name)
          .declare(Fact.MODEL_REVISION, "r1", WHERE)
          .declare(Fact.ROPE, "default", WHERE);
    }

    @ParameterizedTest
    @MethodSource("changes")
    void whatChangesBytesOrMeaning_isRefused(
        Rule rule, UnaryOperator<EngineProfile.Builder> change) {
      for (Way way : List.of(Way.BRIDGE, Way.RELAY)) {
        assertThat(refusing(by(way, said("P"), change.apply(said("D"))))).contains(rule);
        assertThat(refusing(by(way, change.apply(said("P")), said("D")))).contains(rule);
      }
    }

    @Test
    void twoThatPush_areRefused() {
      assertThat(
              refusing(
                  relay(
                      said("P").declare(Fact.TRANSFER_MODE, TransferMode.PUSH, WHERE),
                      said("D").declare(Fact.TRANSFER_MODE, TransferMode.PUSH, WHERE))))
          .containsExactly(Rule.TRANSFER_MODE);
    }

    @Test
    void sameEverything_fitsWithoutNotes() {
      assertThat(bridge(said("P"), said("D"))).isEqualTo(new Verdict.Fits());
      assertThat(relay(said("P"), said("D"))).isEqualTo(new Verdict.Fits());
    }

    @Test
    void whatNobodySays_isNoted() {
      assertThat(noted(relay(dense("P"), dense("D"))))
          .containsExactly(Rule.MODEL_REVISION, Rule.ROPE);
    }

    @Test
    void whatOneSideSays_isNeededOfTheOther() {
      assertThat(
              missing(
                  relay(
                      dense("P").declare(Fact.MODEL_REVISION, "r1", WHERE),
                      dense("D").declare(Fact.ROPE, "default", WHERE))))
          .containsExactly("decode: model-revision", "prefill: rope");
    }
  }

  @Nested
  class OtherStrings {
    @Test
    void modelPaths_needProofOfWhatTheyStandFor() {
      EngineProfile.Builder decode = dense("D").declare(Fact.MODEL, "/models/model", WHERE);

      assertThat(missing(bridge(dense("P"), decode)))
          .containsExactly(
              "prefill: model-revision", "decode: model-revision", "prefill: rope", "decode: rope");
      assertThat(noted(bridge(proven(dense("P")), proven(decode)))).containsExactly(Rule.MODEL);
    }

    private static EngineProfile.Builder proven(EngineProfile.Builder engine) {
      return engine
          .declare(Fact.MODEL_REVISION, "sha256:1", WHERE)
          .declare(Fact.ROPE, "default", WHERE);
    }

    @Test
    void autoAndTheSameType_areOne() {
      assertThat(
              noted(
                  bridge(
                      proven(dense("P")),
                      proven(dense("D").declare(Fact.CACHE_DTYPE, "bfloat16", WHERE)))))
          .containsExactly(Rule.CACHE_DTYPE);
      assertThat(
              refusing(
                  bridge(
                      proven(dense("P")),
                      proven(
                          dense("D")
                              .declare(Fact.CACHE_DTYPE, "bfloat16", WHERE)
                              .declare(Fact.KV_SCALES, KvScales.STATIC, WHERE)))))
          .containsExactly(Rule.CACHE_DTYPE);
    }

    @Test
    void versions_areForTheOperatorToVouchFor() {
      EngineProfile.Builder prefill = vllm(proven(dense("P")), "0.31.0");

      assertThat(refusing(relay(prefill, proven(dense("D"))))).containsExactly(Rule.VLLM_VERSION);
      assertThat(reason(relay(prefill, proven(dense("D"))), Rule.VLLM_VERSION).remedy())
          .contains("interchangeable-versions");
      assertThat(
              noted(
                  relay(
                      prefill,
                      proven(
                          dense("D")
                              .declare(Fact.INTERCHANGEABLE_VERSIONS, Set.of("0.31.0"), WHERE)))))
          .containsExactly(Rule.VLLM_VERSION);
      assertThat(
              noted(
                  bridge(
                      prefill.declare(
                          Fact.INTERCHANGEABLE_VERSIONS, Set.of("0.30.0", "0.32.0"), WHERE),
                      proven(dense("D")))))
          .containsExactly(Rule.VLLM_VERSION);
      assertThat(
              refusing(
                  relay(
                      prefill.declare(Fact.INTERCHANGEABLE_VERSIONS, Set.of("0.30.0"), WHERE),
                      proven(dense("D")))))
          .containsExactly(Rule.VLLM_VERSION);
    }

    @ParameterizedTest
    @CsvSource({"0.28.0, 0.32.0", "0.32.0, 0.28.0"})
    void versionsWithoutStrides_areForARelay(String ofPrefill, String ofDecode) {
      EngineProfile.Builder prefill =
          vllm(proven(dense("P")), ofPrefill)
              .declare(Fact.INTERCHANGEABLE_VERSIONS, Set.of(ofDecode), WHERE);
      EngineProfile.Builder decode = vllm(proven(dense("D")), ofDecode);

      assertThat(refusing(bridge(prefill, decode))).containsExactly(Rule.CONNECTOR_VERSION);
      assertThat(relay(prefill, decode).fits()).isTrue();
    }

    @Test
    void hybridCacheManager_mayDifferWhereThereIsOneGroup() {
      EngineProfile.Builder decode =
          proven(dense("D")).declare(Fact.HYBRID_CACHE_MANAGER, false, WHERE);

      assertThat(bridge(proven(dense("P")), decode)).isEqualTo(new Verdict.Fits());
      assertThat(
              refusing(
                  relay(
                      proven(grouped("P")),
                      proven(grouped("D")).declare(Fact.HYBRID_CACHE_MANAGER, false, WHERE))))
          .containsExactly(Rule.HYBRID_CACHE_MANAGER);
    }

    @Test
    void hybridCacheManager_ofUnknownGroups_needsTheShape() {
      assertThat(missing(bridge(shapeless("P", true), shapeless("D", false))))
          .contains("prefill: model-shape", "decode: model-shape");
    }

    private static EngineProfile.Builder shapeless(String name, boolean manager) {
      return proven(EngineProfile.named(name))
          .declare(Fact.VLLM_VERSION, "0.32.0", WHERE)
          .declare(Fact.HYBRID_CACHE_MANAGER, manager, WHERE);
    }

    @Test
    void otherBackends_withTheSameInterior_fit() {
      EngineProfile.Builder decode =
          proven(dense("D")).declare(Fact.ATTENTION_BACKEND, "FLASHINFER", WHERE);

      assertThat(noted(bridge(proven(dense("P")), decode))).containsExactly(Rule.ATTENTION_BACKEND);
      assertThat(noted(relay(proven(dense("P")), decode))).containsExactly(Rule.ATTENTION_BACKEND);
    }

    @Test
    void otherBackends_withAnotherInterior_areForARelay() {
      EngineProfile.Builder decode = proven(cpu("D", 32));
      EngineProfile.Builder prefill = proven(block(dense("P"), 32));

      assertThat(refusing(engine(prefill, decode))).contains(Rule.ATTENTION_BACKEND);
      assertThat(refusing(bridge(prefill, decode))).containsExactly(Rule.NOT_DESCRIBABLE);
      assertThat(relay(prefill, decode).fits()).isTrue();
    }

    @Test
    void equalHashes_needNoFactorsButTheShapeOfARelay() {
      assertThat(bridge(hashed("P"), hashed("D")).fits()).isTrue();
      assertThat(missing(relay(hashed("P"), hashed("D"))))
          .containsExactly(
              "prefill: kv-heads",
              "prefill: head-size",
              "prefill: hidden-layers",
              "decode: kv-heads",
              "decode: head-size",
              "decode: hidden-layers",
              "prefill: cache-element",
              "decode: cache-element");
    }

    private static EngineProfile.Builder hashed(String name) {
      return EngineProfile.named(name)
          .probe(Fact.HASH, "aa", "handshake")
          .probe(Fact.VLLM_VERSION, "0.32.0", "GET /version")
          .probe(Fact.TENSOR_PARALLEL, 2, "tp_size")
          .probe(Fact.KERNEL_BLOCK_SIZE, 16, "handshake")
          .probe(Fact.LAYOUT, Layout.HND, "handshake")
          .probe(Fact.ATTENTION_BACKEND, "FLASH_ATTN", "handshake");
    }

    @Test
    void unknownHashes_needThemAll() {
      assertThat(
              missing(
                  bridge(
                      EngineProfile.named("P").declare(Fact.TENSOR_PARALLEL, 1, WHERE),
                      dense("D"))))
          .contains(
              "prefill: model",
              "prefill: dtype",
              "prefill: vllm-version",
              "prefill: connector-version",
              "prefill: attention-backend",
              "prefill: kernel-block-size",
              "prefill: layout")
          .doesNotContain("prefill: tensor-parallel", "decode: model");
    }
  }

  private static EngineProfile.Builder grouped(String name) {
    return dense(name)
        .declare(
            Fact.SHAPE,
            new ModelShape(
                8,
                128,
                2,
                ElementType.BFLOAT16,
                List.of(
                    new CacheGroup.SlidingWindow(List.of(0, 2), 64),
                    new CacheGroup.Full(List.of(1, 3)))),
            WHERE);
  }

  @Nested
  class Layers {
    @ParameterizedTest
    @CsvSource({"CROSS_LAYER_LHN, HND", "CROSS_LAYER_LNH, NHD"})
    void layersThatAreContiguous_areRegionsWithStrides(Layout prefill, Layout decode) {
      EngineProfile.Builder p = layout(dense("P"), prefill);
      EngineProfile.Builder d = layout(dense("D"), decode);

      assertThat(refusing(engine(p, d))).containsExactly(Rule.CROSS_LAYER_BLOCKS);
      assertThat(bridge(p, d).fits()).isTrue();
    }

    @Test
    void layersThatAreContiguous_beforeThereWereStrides_areForARelay() {
      EngineProfile.Builder p = vllm(layout(dense("P"), Layout.CROSS_LAYER_LHN), "0.28.0");
      EngineProfile.Builder d = vllm(layout(dense("D"), Layout.HND), "0.28.0");

      Verdict verdict = bridge(p, d);

      assertThat(refusing(verdict)).containsExactly(Rule.NOT_DESCRIBABLE);
      assertThat(reason(verdict, Rule.NOT_DESCRIBABLE).prefill())
          .isEqualTo("cross-layer-lhn, connector version 7");
      assertThat(relay(p, d).fits()).isTrue();
    }

    @Test
    void layersUnderHeads_areForARelay() {
      EngineProfile.Builder p = layout(dense("P"), Layout.CROSS_LAYER);
      EngineProfile.Builder d = layout(dense("D"), Layout.HND);

      assertThat(refusing(bridge(p, d))).containsExactly(Rule.NOT_DESCRIBABLE);
      assertThat(relay(p, d).fits()).isTrue();
    }

    @Test
    void layersUnderASingleHead_areContiguous() {
      EngineProfile.Builder p = tp(layout(dense("P"), Layout.CROSS_LAYER), 8);

      assertThat(bridge(p, tp(dense("D"), 8)).fits()).isTrue();
      assertThat(bridge(p, tp(layout(dense("D"), Layout.NHD), 8)).fits()).isTrue();
      assertThat(bridge(p, tp(dense("D"), 4)).fits()).isTrue();
      assertThat(bridge(tp(layout(dense("P"), Layout.CROSS_LAYER), 4), tp(dense("D"), 4)).fits())
          .isFalse();
    }

    @Test
    void layersTogetherOnDecode_areForARelay() {
      for (Layout decode : List.of(Layout.CROSS_LAYER, Layout.CROSS_LAYER_LHN)) {
        EngineProfile.Builder d = layout(dense("D"), decode);

        assertThat(refusing(bridge(dense("P"), d))).containsExactly(Rule.CROSS_LAYER_BLOCKS);
        assertThat(relay(dense("P"), d).fits()).isTrue();
      }
    }

    @Test
    void layersTogetherOnBothSides_inAnotherOrder_areForARelay() {
      EngineProfile.Builder p = layout(dense("P"), Layout.CROSS_LAYER_LHN);
      EngineProfile.Builder d = layout(dense("D"), Layout.CROSS_LAYER);

      assertThat(refusing(bridge(p, d))).containsExactly(Rule.LAYOUT);
      assertThat(relay(p, d).fits()).isTrue();
    }

    @Test
    void contiguousLayersInAnotherOrder_areForARelay() {
      EngineProfile.Builder p = layout(dense("P"), Layout.CROSS_LAYER_LHN);
      EngineProfile.Builder d = layout(dense("D"), Layout.NHD);

      assertThat(refusing(bridge(p, d))).containsExactly(Rule.LAYOUT);
      assertThat(relay(p, d).fits()).isTrue();
    }

    @Test
    void contiguousLayers_maySplitHeads() {
      assertThat(
              bridge(tp(layout(dense("P"), Layout.CROSS_LAYER_LHN), 1), tp(dense("D"), 2)).fits())
          .isTrue();
      assertThat(
              bridge(tp(layout(dense("P"), Layout.CROSS_LAYER_LHN), 1), tp(dense("D"), 8)).fits())
          .isTrue();
    }

    @Test
    void latents_areContiguousInEveryOrder() {
      assertThat(
              bridge(layout(latent("P"), Layout.CROSS_LAYER), layout(latent("D"), Layout.HND))
                  .fits())
          .isTrue();
    }
  }

  @Nested
  class Orders {
    @Test
    void headsAndTokensTheOtherWayRound_areForARelay() {
      EngineProfile.Builder d = layout(dense("D"), Layout.NHD);

      assertThat(refusing(bridge(dense("P"), d))).containsExactly(Rule.LAYOUT);
      assertThat(relay(dense("P"), d).fits()).isTrue();
    }

    @Test
    void withOneHeadPerRank_theyAreTheSame() {
      assertThat(bridge(tp(dense("P"), 8), tp(layout(dense("D"), Layout.NHD), 8)).fits()).isTrue();
      assertThat(bridge(tp(layout(dense("P"), Layout.NHD), 16), tp(dense("D"), 16)).fits())
          .isTrue();
      assertThat(bridge(tp(dense("P"), 4), tp(layout(dense("D"), Layout.NHD), 4)).fits()).isFalse();
    }

    @Test
    void transposedKeys_areNeverTheSame() {
      assertThat(
              bridge(
                      tp(layout(dense("P"), Layout.HND_SPLIT), 8),
                      tp(layout(dense("D"), Layout.CPU_ATTENTION), 8))
                  .fits())
          .isFalse();
    }

    @Test
    void separateTensors_areNotTheSameAsOne() {
      assertThat(refusing(bridge(layout(dense("P"), Layout.HND_SEPARATE), dense("D"))))
          .containsExactly(Rule.LAYOUT);
    }

    @Test
    void unequalParallelism_withTokensFirst_isForARelay() {
      EngineProfile.Builder p = tp(layout(dense("P"), Layout.NHD), 1);
      EngineProfile.Builder d = tp(layout(dense("D"), Layout.NHD), 2);

      assertThat(refusing(bridge(p, d))).containsExactly(Rule.HEADS_NOT_CONTIGUOUS);
      assertThat(relay(p, d).fits()).isTrue();
    }
  }

  @Nested
  class BlockSizes {
    @Test
    void largerBlocks_withTokensFirst_areDescribedInParts() {
      EngineProfile.Builder p = block(layout(dense("P"), Layout.NHD), 64);
      EngineProfile.Builder d = block(layout(dense("D"), Layout.NHD), 32);

      assertThat(refusing(engine(p, d))).contains(Rule.BLOCK_SIZE);
      assertThat(noted(bridge(p, d))).contains(Rule.BLOCK_SIZE);
    }

    @Test
    void largerBlocksOfLatents_areDescribedInParts() {
      assertThat(noted(bridge(block(latent("P"), 128), block(latent("D"), 64))))
          .contains(Rule.BLOCK_SIZE);
    }

    @Test
    void largerBlocks_withOneHeadPerRank_areDescribedInParts() {
      assertThat(bridge(tp(block(dense("P"), 64), 8), tp(block(dense("D"), 32), 8)).fits())
          .isTrue();
      assertThat(refusing(bridge(tp(block(dense("P"), 64), 4), tp(block(dense("D"), 32), 4))))
          .contains(Rule.BLOCK_SIZE);
    }

    @ParameterizedTest
    @EnumSource(names = {"HND", "HND_SPLIT", "NHD_SPLIT", "HND_SEPARATE", "CROSS_LAYER_LNH"})
    void largerBlocks_withTokensFurtherIn_areForARelay(Layout layout) {
      EngineProfile.Builder p = block(layout(dense("P"), layout), 64);
      EngineProfile.Builder d = block(layout(dense("D"), layout), 32);

      assertThat(refusing(bridge(p, d))).contains(Rule.BLOCK_SIZE);
      assertThat(relay(p, d).fits()).isTrue();
    }

    @Test
    void separateTensorsWithTokensFirst_areDescribedInParts() {
      assertThat(
              bridge(
                      block(layout(dense("P"), Layout.NHD_SEPARATE), 64),
                      block(layout(dense("D"), Layout.NHD_SEPARATE), 32))
                  .fits())
          .isTrue();
    }

    @Test
    void blocksThatAreNoMultiples_areForARelay() {
      EngineProfile.Builder p = block(layout(dense("P"), Layout.NHD), 48);
      EngineProfile.Builder d = block(layout(dense("D"), Layout.NHD), 32);

      assertThat(refusing(bridge(p, d))).contains(Rule.BLOCK_SIZE);
      assertThat(relay(p, d).fits()).isTrue();
    }

    @Test
    void smallerBlocks_withAPrefixCacheOnDecode_areForARelay() {
      EngineProfile.Builder d = block(dense("D"), 32);

      assertThat(refusing(bridge(dense("P"), d))).containsExactly(Rule.PREFIX_CACHE_SHIFT);
      assertThat(relay(dense("P"), d).fits()).isTrue();
    }

    @ParameterizedTest
    @CsvSource({"64, 32", "32, 64"})
    void blocksOfCpuAttention_areForARelay(int prefill, int decode) {
      assertThat(refusing(bridge(cpu("P", prefill), cpu("D", decode))))
          .contains(Rule.CPU_BLOCK_INTERIOR);
      assertThat(noted(relay(cpu("P", prefill), cpu("D", decode)))).contains(Rule.UNKNOWN_INTERIOR);
      assertThat(noted(relay(cpu("P", prefill), cpu("D", prefill))))
          .doesNotContain(Rule.UNKNOWN_INTERIOR);
    }

    @Test
    void indexCaches_areNotDescribedInParts() {
      assertThat(
              refusing(
                  bridge(
                      block(latent("P"), 128)
                          .declare(Fact.ARCHITECTURE, Architecture.SPARSE_MLA, WHERE),
                      block(latent("D"), 64)
                          .declare(Fact.ARCHITECTURE, Architecture.SPARSE_MLA, WHERE))))
          .contains(Rule.BLOCK_SIZE);
    }

    @Test
    void hybrids_areNotDescribedInParts() {
      EngineProfile.Builder p =
          hybrid("P")
              .declare(Fact.KERNEL_BLOCK_SIZE, 32, WHERE)
              .declare(Fact.BLOCK_SIZE, 32, WHERE)
              .declare(Fact.LAYOUT, Layout.NHD, WHERE);
      EngineProfile.Builder d =
          hybrid("D")
              .declare(Fact.KERNEL_BLOCK_SIZE, 16, WHERE)
              .declare(Fact.BLOCK_SIZE, 16, WHERE)
              .declare(Fact.LAYOUT, Layout.NHD, WHERE);

      assertThat(refusing(bridge(p, d))).contains(Rule.BLOCK_SIZE);
    }
  }

  @Nested
  class Bridging {
    @Test
    void addresses_areTheAgents_butNotTheEngineId() {
      EngineProfile.Builder p =
          dense("P")
              .declare(Fact.HTTP_HOST, "10.0.0.1", WHERE)
              .declare(Fact.SIDE_CHANNEL_HOST, "localhost", WHERE)
              .declare(Fact.ENGINE_ID, "e1", WHERE);

      assertThat(refusing(engine(p, dense("D")))).containsExactly(Rule.SIDE_CHANNEL);
      assertThat(bridge(p, dense("D")).fits()).isTrue();
      assertThat(refusing(bridge(p, dense("D").declare(Fact.ENGINE_ID, "e1", WHERE))))
          .containsExactly(Rule.ENGINE_ID);
      assertThat(relay(p, dense("D").declare(Fact.ENGINE_ID, "e1", WHERE)).fits()).isTrue();
    }

    @Test
    void parallelism_isTheEnginesOwnMatter() {
      assertThat(refusing(bridge(tp(dense("P"), 3), tp(dense("D"), 2))))
          .contains(Rule.TENSOR_PARALLEL);
      assertThat(refusing(bridge(tp(dense("P"), 16), tp(dense("D"), 8))))
          .containsExactly(Rule.REPLICATED_HEADS);
    }

    @Test
    void nixlReleases_areTheEnginesOwnMatter() {
      EngineProfile.Builder p = dense("P").declare(Fact.NIXL_VERSION, "1.0.0", WHERE);
      EngineProfile.Builder d = dense("D").declare(Fact.NIXL_VERSION, "1.5.1", WHERE);

      assertThat(refusing(bridge(p, d))).containsExactly(Rule.NIXL_VERSION);
      assertThat(relay(p, d).fits()).isTrue();
    }

    @Test
    void contradictions_areRefused() {
      EngineProfile.Builder p = dense("P").probe(Fact.TENSOR_PARALLEL, 2, "tp_size");

      assertThat(refusing(bridge(p, dense("D")))).startsWith(Rule.CONTRADICTION);
      assertThat(refusing(relay(p, dense("D")))).startsWith(Rule.CONTRADICTION);
    }
  }

  @Nested
  class Relaying {
    @ParameterizedTest
    @CsvSource({"1, 2", "2, 1", "16, 8", "8, 16", "16, 1"})
    void parallelism_mayBeAny(int prefill, int decode) {
      assertThat(relay(tp(dense("P"), prefill), tp(dense("D"), decode)).fits()).isTrue();
    }

    @Test
    void headsThatDoNotDivide_areNotPlanned() {
      assertThat(refusing(relay(tp(dense("P"), 3), dense("D")))).containsExactly(Rule.NOT_PLANNED);
      Reason reason = reason(relay(dense("P"), tp(dense("D"), 3)), Rule.NOT_PLANNED);
      assertThat(reason.prefill()).isEqualTo("-");
      assertThat(reason.decode()).isEqualTo("8 KV heads on 3 ranks");
    }

    @ParameterizedTest
    @EnumSource(names = {"HND", "NHD", "CROSS_LAYER", "CROSS_LAYER_LHN", "HEAD_MAJOR", "HND_SPLIT"})
    void layouts_mayBeAny(Layout decode) {
      assertThat(relay(dense("P"), layout(dense("D"), decode)).fits()).isTrue();
    }

    @Test
    void unknownInteriors_areCarriedOnlyAsTheyAre() {
      assertThat(relay(strange("P", 16), strange("D", 16)).fits()).isTrue();
      assertThat(refusing(relay(strange("P", 16), strange("D", 32))))
          .containsExactly(Rule.UNKNOWN_INTERIOR);
      assertThat(refusing(relay(tp(strange("P", 16), 2), strange("D", 16))))
          .containsExactly(Rule.UNKNOWN_INTERIOR);
      assertThat(refusing(relay(strange("P", 16), layout(strange("D", 16), Layout.NHD))))
          .containsExactly(Rule.UNKNOWN_INTERIOR);
    }

    private static EngineProfile.Builder strange(String name, int block) {
      return block(dense(name), block).declare(Fact.ATTENTION_BACKEND, "FLEX_ATTENTION", WHERE);
    }

    @Test
    void inlineScales_areCarriedOnlyAsTheyAre() {
      assertThat(relay(inline("P", 16), inline("D", 16)).fits()).isTrue();
      assertThat(refusing(relay(inline("P", 16), inline("D", 32))))
          .containsExactly(Rule.UNKNOWN_INTERIOR);
    }

    private static EngineProfile.Builder inline(String name, int block) {
      return block(dense(name), block).declare(Fact.KV_SCALES, KvScales.INLINE, WHERE);
    }

    @Test
    void latents_areKnownInside() {
      assertThat(relay(block(latent("P"), 128), block(latent("D"), 64)).fits()).isTrue();
      assertThat(relay(tp(latent("P"), 8), tp(latent("D"), 1)).fits()).isTrue();
    }

    @Test
    void indexCaches_areCarriedOnlyInEqualBlocks() {
      assertThat(relay(sparse("P", 64), sparse("D", 64)).fits()).isTrue();
      assertThat(refusing(relay(sparse("P", 128), sparse("D", 64))))
          .containsExactly(Rule.NOT_PLANNED);
      assertThat(
              refusing(
                  relay(
                      sparse("P", 64).declare(Fact.KV_SCALES, KvScales.STATIC, WHERE),
                      sparse("D", 64))))
          .containsExactly(Rule.KV_SCALES);
    }

    private static EngineProfile.Builder sparse(String name, int block) {
      return block(latent(name), block).declare(Fact.ARCHITECTURE, Architecture.SPARSE_MLA, WHERE);
    }

    @Test
    void hybrids_needTheShapeOfTheirStates() {
      assertThat(missing(relay(hybrid("P"), hybrid("D"))))
          .containsExactly("prefill: model-shape", "decode: model-shape");
    }

    @Test
    void otherShapes_areRefused() {
      assertThat(refusing(relay(grouped("P"), dense("D")))).containsExactly(Rule.MODEL_SHAPE);
      assertThat(relay(grouped("P"), grouped("D")).fits()).isTrue();
    }

    @Test
    void contexts_areNotPlanned() {
      for (Fact<Integer> fact :
          List.of(Fact.DECODE_CONTEXT_PARALLEL, Fact.PREFILL_CONTEXT_PARALLEL)) {
        Reason reason =
            reason(relay(latent("P"), latent("D").declare(fact, 2, WHERE)), Rule.NOT_PLANNED);
        assertThat(reason.prefill()).isEqualTo("no context parallelism");
        assertThat(reason.decode()).isEqualTo("context parallelism");
        assertThat(refusing(relay(latent("P").declare(fact, 2, WHERE), latent("D"))))
            .containsExactly(Rule.NOT_PLANNED);
      }
    }

    @Test
    void stages_areForPrefillEngines() {
      assertThat(relay(dense("P").declare(Fact.PIPELINE_PARALLEL, 2, WHERE), dense("D")).fits())
          .isTrue();
      assertThat(refusing(relay(dense("P"), dense("D").declare(Fact.PIPELINE_PARALLEL, 2, WHERE))))
          .containsExactly(Rule.PIPELINE_PARALLEL);
    }

    @Test
    void severalKernelBlocksABlock_areNotPlanned() {
      EngineProfile.Builder paged =
          block(dense("P"), 128).probe(Fact.KERNEL_BLOCK_SIZE, 64, "handshake");

      assertThat(refusing(relay(paged, block(dense("D"), 64)))).containsExactly(Rule.NOT_PLANNED);
      assertThat(refusing(relay(block(dense("P"), 64), paged))).containsExactly(Rule.NOT_PLANNED);
    }

    @Test
    void mostIsNeeded() {
      assertThat(missing(relay(EngineProfile.named("P"), dense("D"))))
          .containsExactly(
              "prefill: model",
              "prefill: kv-heads",
              "prefill: head-size",
              "prefill: hidden-layers",
              "prefill: dtype",
              "prefill: cache-element",
              "prefill: vllm-version",
              "prefill: connector-version",
              "prefill: attention-backend",
              "prefill: tensor-parallel",
              "prefill: kernel-block-size",
              "prefill: layout");
    }
  }

  @Nested
  class Simulated {
    private static EngineProfile.Builder simulated(EngineProfile.Builder engine) {
      return engine.declare(Fact.KIND, EngineKind.MILLRACE_SIM, WHERE);
    }

    @Test
    void twoSimulatedEngines_readByPlans() {
      EngineProfile.Builder p = tp(block(dense("P"), 64), 16);
      EngineProfile.Builder d = tp(block(layout(dense("D"), Layout.NHD), 48), 2);

      assertThat(engine(p, d).fits()).isFalse();
      assertThat(engine(simulated(p), d).fits()).isFalse();
      assertThat(engine(simulated(p), simulated(d)).fits()).isTrue();
    }

    @Test
    void otherModels_areRefusedAllTheSame() {
      assertThat(
              refusing(
                  engine(
                      simulated(dense("P")),
                      simulated(dense("D"))
                          .declareGeometry(TestEngines.geometry("layers=4"), WHERE))))
          .contains(Rule.MODEL_SHAPE);
    }

    @Test
    void oneSideChannelForTwo_isRefusedAllTheSame() {
      EngineProfile.Builder p = simulated(dense("P")).declare(Fact.ENGINE_ID, "e", WHERE);
      EngineProfile.Builder d = simulated(dense("D")).declare(Fact.ENGINE_ID, "e", WHERE);

      assertThat(refusing(engine(p, d))).containsExactly(Rule.ENGINE_ID);
    }
  }
}
