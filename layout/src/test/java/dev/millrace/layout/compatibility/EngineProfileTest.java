package dev.millrace.layout.compatibility;

import static dev.millrace.layout.compatibility.TestEngines.WHERE;
import static dev.millrace.layout.compatibility.TestEngines.dense;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.CacheGroup;
import dev.millrace.layout.CompatibilityHash;
import dev.millrace.layout.ElementType;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class EngineProfileTest {
  private static final String HANDSHAKE = "handshake of rank (0, 0)";

  private static EngineProfile.Builder engine() {
    return EngineProfile.named("http://10.0.0.1:8000");
  }

  private static EngineProfile.Builder connector(Map<String, Object> json) {
    return dense("P").declare(Fact.CONNECTOR, ConnectorConfig.of(json), WHERE);
  }

  private static Map<String, Object> crossLayer() {
    return Map.of(
        "kv_connector",
        "NixlConnector",
        "kv_connector_extra_config",
        Map.of("enable_cross_layers_blocks", true));
  }

  @Nested
  class Statements {
    @Test
    void declared_isKnownWithItsPlace() {
      assertThat(
              engine()
                  .declare(Fact.TENSOR_PARALLEL, 4, "routes.yaml:3:9")
                  .build()
                  .known(Fact.TENSOR_PARALLEL))
          .contains(new Known<>(4, Origin.DECLARED, "routes.yaml:3:9"));
    }

    @Test
    void probedAndDeclaredAlike_isProbed() {
      EngineProfile profile =
          engine()
              .declare(Fact.TENSOR_PARALLEL, 4, "routes.yaml:3:9")
              .probe(Fact.TENSOR_PARALLEL, 4, "tp_size")
              .build();

      assertThat(profile.known(Fact.TENSOR_PARALLEL))
          .contains(new Known<>(4, Origin.PROBED, "tp_size"));
      assertThat(profile.disagreements()).isEmpty();
    }

    @Test
    void probedOtherwiseThanDeclared_isADisagreement_andTheEngineCounts() {
      EngineProfile profile =
          engine()
              .probe(Fact.TENSOR_PARALLEL, 2, "tp_size")
              .declare(Fact.TENSOR_PARALLEL, 4, "routes.yaml:3:9")
              .build();

      assertThat(profile.value(Fact.TENSOR_PARALLEL)).contains(2);
      assertThat(profile.disagreements())
          .containsExactly(
              new Disagreement(
                  Fact.TENSOR_PARALLEL,
                  new Known<>(4, Origin.DECLARED, "routes.yaml:3:9"),
                  new Known<>(2, Origin.PROBED, "tp_size")));
      assertThat(profile.disagreements().getFirst())
          .hasToString("tensor-parallel is 4 by routes.yaml:3:9, but 2 by tp_size");
    }

    @Test
    void optionalStatements_areMadeIfThere() {
      EngineProfile profile =
          engine()
              .declare(Fact.NIXL_VERSION, Optional.of("1.5.1"), WHERE)
              .declare(Fact.MODEL_REVISION, Optional.empty(), WHERE)
              .probe(Fact.ENGINE_ID, Optional.of("e1"), HANDSHAKE)
              .probe(Fact.HASH, Optional.empty(), HANDSHAKE)
              .build();

      assertThat(profile.value(Fact.NIXL_VERSION)).contains("1.5.1");
      assertThat(profile.value(Fact.MODEL_REVISION)).isEmpty();
      assertThat(profile.value(Fact.ENGINE_ID)).contains("e1");
      assertThat(profile.value(Fact.HASH)).isEmpty();
    }

    @Test
    void facts_areInTheirOrder() {
      List<Fact<?>> facts = List.copyOf(dense("P").build().facts().keySet());

      assertThat(facts)
          .isSortedAccordingTo(
              (a, b) -> Integer.compare(Fact.all().indexOf(a), Fact.all().indexOf(b)));
      assertThat(facts).contains(Fact.MODEL, Fact.LEASE);
    }

    @Test
    void facts_haveUniqueNamesAndAPlaceToLearnThem() {
      assertThat(Fact.all()).extracting(Object::toString).doesNotHaveDuplicates();
      assertThat(Fact.all()).allSatisfy(fact -> assertThat(fact.learntFrom()).isNotBlank());
    }

    @Test
    void equalProfiles_areEqual() {
      assertThat(dense("P").build()).isEqualTo(dense("P").build());
      assertThat(dense("P").build()).hasSameHashCodeAs(dense("P").build());
      assertThat(dense("P").build()).isNotEqualTo(dense("D").build());
      assertThat(dense("P").build())
          .isNotEqualTo(dense("P").declare(Fact.ENGINE_ID, "e", WHERE).build());
      assertThat(dense("P").build().toString()).startsWith("P{").contains("vllm-version");
    }
  }

  @Nested
  class Versions {
    @ParameterizedTest
    @CsvSource({
      "0.19.0, 2",
      "0.19.1, 2",
      "0.21.0, 3",
      "0.23.0, 4",
      "0.24.0, 4",
      "0.27.1, 5",
      "0.28.0, 7",
      "0.29.0, 9",
      "0.30.0, 11",
      "0.31.0, 13",
      "0.32.0, 14",
      "0.33.0, 15",
      "v0.32.0, 14",
      "0.32.0+cpu, 14",
      "0.32.0.post1, 14",
      "0.32.0+millrace-sim, 14"
    })
    void connectorVersion_followsFromTheRelease(String vllm, int expected) {
      EngineProfile profile = engine().declare(Fact.VLLM_VERSION, vllm, WHERE).build();

      assertThat(profile.known(Fact.CONNECTOR_VERSION))
          .contains(new Known<>(expected, Origin.DERIVED, "vLLM " + vllm));
    }

    @ParameterizedTest
    @CsvSource({"0.20.0", "0.22.1", "0.25.0", "1.0.0", "0.32.0rc1", "0.28.1rc1.dev580+gabc", "x"})
    void connectorVersion_ofOtherBuilds_isNotKnown(String vllm) {
      assertThat(
              engine()
                  .declare(Fact.VLLM_VERSION, vllm, WHERE)
                  .build()
                  .value(Fact.CONNECTOR_VERSION))
          .isEmpty();
    }

    @Test
    void connectorVersion_declaredOtherwise_isADisagreement() {
      EngineProfile profile =
          engine()
              .declare(Fact.VLLM_VERSION, "0.32.0", WHERE)
              .declare(Fact.CONNECTOR_VERSION, 7, WHERE)
              .build();

      assertThat(profile.disagreements())
          .containsExactly(
              new Disagreement(
                  Fact.CONNECTOR_VERSION,
                  new Known<>(7, Origin.DECLARED, WHERE),
                  new Known<>(14, Origin.DERIVED, "vLLM 0.32.0")));
    }

    @Test
    void probedVersion_contradictsWhatFollowsFromTheDeclaredOne() {
      EngineProfile profile =
          engine()
              .declare(Fact.VLLM_VERSION, "0.32.0", WHERE)
              .probe(Fact.CONNECTOR_VERSION, 13, HANDSHAKE)
              .build();

      assertThat(profile.disagreements())
          .containsExactly(
              new Disagreement(
                  Fact.CONNECTOR_VERSION,
                  new Known<>(14, Origin.DERIVED, "vLLM 0.32.0"),
                  new Known<>(13, Origin.PROBED, HANDSHAKE)));
    }

    @ParameterizedTest
    @CsvSource({"0.21.0, 480", "0.23.0, 30", "0.20.0, 30"})
    void lease_ofReleasesWithoutHeartbeats_isFixed(String vllm, int seconds) {
      assertThat(engine().declare(Fact.VLLM_VERSION, vllm, WHERE).build().value(Fact.LEASE))
          .contains(Duration.ofSeconds(seconds));
    }
  }

  @Nested
  class Models {
    @Test
    void shape_saysHeadsSizeElementAndClass() {
      EngineProfile profile =
          engine()
              .declare(Fact.SHAPE, ModelShape.dense(28, 8, 128, ElementType.BFLOAT16), WHERE)
              .build();

      assertThat(profile.value(Fact.KV_HEADS)).contains(8);
      assertThat(profile.value(Fact.HEAD_SIZE)).contains(128);
      assertThat(profile.value(Fact.CACHE_ELEMENT)).contains(ElementType.BFLOAT16);
      assertThat(profile.value(Fact.ARCHITECTURE)).contains(Architecture.DENSE);
      assertThat(profile.value(Fact.DTYPE)).contains("torch.bfloat16");
    }

    @Test
    void shape_ofALatent_isMla() {
      assertThat(
              engine()
                  .declare(Fact.SHAPE, ModelShape.mla(27, 576, ElementType.BFLOAT16), WHERE)
                  .build()
                  .value(Fact.ARCHITECTURE))
          .contains(Architecture.MLA);
    }

    @Test
    void declaredClass_countsBeforeTheShape() {
      assertThat(
              engine()
                  .declare(Fact.SHAPE, ModelShape.dense(28, 8, 128, ElementType.BFLOAT16), WHERE)
                  .declare(Fact.ARCHITECTURE, Architecture.MOE, WHERE)
                  .build()
                  .value(Fact.ARCHITECTURE))
          .contains(Architecture.MOE);
    }

    @Test
    void shape_againstDeclaredHeads_isADisagreement() {
      assertThat(
              engine()
                  .declare(Fact.SHAPE, ModelShape.dense(28, 8, 128, ElementType.BFLOAT16), WHERE)
                  .declare(Fact.KV_HEADS, 4, WHERE)
                  .build()
                  .disagreements())
          .extracting(Disagreement::fact)
          .containsExactly(Fact.KV_HEADS);
    }

    @ParameterizedTest
    @CsvSource({
      "auto, torch.float16, FLOAT16", "fp8, torch.bfloat16, FLOAT8_E4M3",
      "fp8_e4m3, torch.bfloat16, FLOAT8_E4M3", "fp8_e5m2, torch.bfloat16, FLOAT8_E5M2",
      "bfloat16, torch.float16, BFLOAT16", "float16, torch.bfloat16, FLOAT16",
      "float32, torch.bfloat16, FLOAT32"
    })
    void cacheElement_followsFromCacheDtypeAndDtype(
        String cacheDtype, String dtype, ElementType expected) {
      assertThat(
              engine()
                  .declare(Fact.CACHE_DTYPE, cacheDtype, WHERE)
                  .declare(Fact.DTYPE, dtype, WHERE)
                  .build()
                  .value(Fact.CACHE_ELEMENT))
          .contains(expected);
    }

    @ParameterizedTest
    @CsvSource({"fp8_ds_mla, torch.bfloat16", "auto, torch.strange"})
    void cacheElement_ofOtherNames_isNotKnown(String cacheDtype, String dtype) {
      assertThat(
              engine()
                  .declare(Fact.CACHE_DTYPE, cacheDtype, WHERE)
                  .declare(Fact.DTYPE, dtype, WHERE)
                  .build()
                  .value(Fact.CACHE_ELEMENT))
          .isEmpty();
    }

    @Test
    void dtype_ofAQuantisedCache_doesNotFollowFromItsElements() {
      assertThat(engine().declare(Fact.CACHE_DTYPE, "fp8", WHERE).build().value(Fact.DTYPE))
          .isEmpty();
    }

    @ParameterizedTest
    @CsvSource({
      "auto, NONE",
      "bfloat16, NONE",
      "fp8, STATIC",
      "fp8_e5m2, STATIC",
      "int8, STATIC",
      "fp8_ds_mla, INLINE",
      "int8_per_token_head, INLINE",
      "fp8_per_token_head, INLINE",
      "nvfp4, INLINE"
    })
    void scales_areWhereTheCacheDtypePutsThem(String cacheDtype, KvScales expected) {
      assertThat(
              engine().declare(Fact.CACHE_DTYPE, cacheDtype, WHERE).build().value(Fact.KV_SCALES))
          .contains(expected);
    }
  }

  @Nested
  class Blocks {
    private static Optional<Integer> kernelBlock(String backend, int block) {
      return engine()
          .declare(Fact.ATTENTION_BACKEND, backend, WHERE)
          .declare(Fact.BLOCK_SIZE, block, WHERE)
          .build()
          .value(Fact.KERNEL_BLOCK_SIZE);
    }

    @ParameterizedTest
    @CsvSource({
      "FLASH_ATTN, 128, 128", "TRITON_ATTN, 48, 48", "CPU_ATTN, 96, 96", "FLASHINFER, 16, 16",
      "FLASHINFER, 32, 32", "FLASHINFER, 64, 64", "FLASHINFER, 128, 64", "FLASHINFER, 48, 16",
      "FLASHMLA, 64, 64"
    })
    void kernelBlock_isTheLargestThatTheBackendTakes(String backend, int block, int expected) {
      assertThat(kernelBlock(backend, block)).contains(expected);
    }

    @Test
    void kernelBlock_ofASizeThatTheBackendDoesNotTake_isTheSchedulersOwn() {
      assertThat(kernelBlock("FLASH_ATTN", 24)).contains(24);
      assertThat(kernelBlock("FLASHINFER", 24)).contains(24);
    }

    @Test
    void kernelBlock_ofAHybrid_hasToBeSaid() {
      assertThat(
              engine()
                  .declare(Fact.ARCHITECTURE, Architecture.HYBRID, WHERE)
                  .declare(Fact.BLOCK_SIZE, 528, WHERE)
                  .build()
                  .value(Fact.KERNEL_BLOCK_SIZE))
          .isEmpty();
    }

    @Test
    void kernelBlocksPerBlock_followFromBothSizes() {
      EngineProfile profile =
          engine()
              .declare(Fact.BLOCK_SIZE, 128, WHERE)
              .probe(Fact.KERNEL_BLOCK_SIZE, 32, HANDSHAKE)
              .build();

      assertThat(profile.value(Fact.KERNEL_BLOCKS_PER_BLOCK)).contains(4);
      assertThat(profile.disagreements()).isEmpty();
    }

    @Test
    void anyTwo_giveTheThird() {
      assertThat(
              engine()
                  .probe(Fact.KERNEL_BLOCK_SIZE, 32, HANDSHAKE)
                  .probe(Fact.KERNEL_BLOCKS_PER_BLOCK, 4, HANDSHAKE)
                  .build()
                  .value(Fact.BLOCK_SIZE))
          .contains(128);
      assertThat(
              engine()
                  .declare(Fact.BLOCK_SIZE, 128, WHERE)
                  .declare(Fact.KERNEL_BLOCKS_PER_BLOCK, 4, WHERE)
                  .build()
                  .value(Fact.KERNEL_BLOCK_SIZE))
          .contains(32);
    }

    @Test
    void sizesThatDoNotGoTogether_areADisagreement() {
      assertThat(
              engine()
                  .declare(Fact.BLOCK_SIZE, 16, WHERE)
                  .probe(Fact.KERNEL_BLOCK_SIZE, 32, HANDSHAKE)
                  .build()
                  .disagreements())
          .extracting(Disagreement::fact)
          .containsExactly(Fact.BLOCK_SIZE);
      assertThat(
              engine()
                  .declare(Fact.BLOCK_SIZE, 64, WHERE)
                  .probe(Fact.KERNEL_BLOCK_SIZE, 32, HANDSHAKE)
                  .probe(Fact.KERNEL_BLOCKS_PER_BLOCK, 1, HANDSHAKE)
                  .build()
                  .disagreements())
          .extracting(Disagreement::fact)
          .containsExactly(Fact.KERNEL_BLOCKS_PER_BLOCK);
    }
  }

  @Nested
  class Layouts {
    private static EngineProfile.Builder vllm(String version, String backend) {
      return engine()
          .declare(Fact.VLLM_VERSION, version, WHERE)
          .declare(Fact.ATTENTION_BACKEND, backend, WHERE);
    }

    @ParameterizedTest
    @CsvSource({
      "0.32.0, FLASH_ATTN, HND",
      "0.27.0, FLASHINFER, HND",
      "0.24.0, FLASH_ATTN, HND_SPLIT",
      "0.21.0, FLASH_ATTN, HND_SEPARATE",
      "0.21.0, FLASHINFER, HND_SPLIT",
      "0.32.0, CPU_ATTN, CPU_ATTENTION",
      "0.24.0, TRITON_ATTN, HND_SPLIT"
    })
    void layout_isUsuallyThatOfBackendAndRelease(String version, String backend, Layout expected) {
      assertThat(vllm(version, backend).build().value(Fact.LAYOUT)).contains(expected);
    }

    @Test
    void declaredHnd_onCpus_isTheLayoutOfCpuAttention() {
      EngineProfile profile =
          vllm("0.32.0", "CPU_ATTN").declare(Fact.LAYOUT, Layout.HND, WHERE).build();

      assertThat(profile.known(Fact.LAYOUT))
          .contains(
              new Known<>(
                  Layout.CPU_ATTENTION,
                  Origin.DERIVED,
                  "hnd of routes.yaml:1:1, as CPU attention keeps it"));
      assertThat(profile.disagreements()).isEmpty();
    }

    @Test
    void otherLayouts_onCpus_areADisagreement() {
      assertThat(
              vllm("0.32.0", "CPU_ATTN")
                  .declare(Fact.LAYOUT, Layout.NHD, WHERE)
                  .build()
                  .disagreements())
          .extracting(Disagreement::fact)
          .containsExactly(Fact.LAYOUT);
      assertThat(
              vllm("0.32.0", "FLASH_ATTN")
                  .declare(Fact.LAYOUT, Layout.CPU_ATTENTION, WHERE)
                  .build()
                  .disagreements())
          .extracting(Disagreement::fact)
          .containsExactly(Fact.ATTENTION_BACKEND);
      assertThat(
              vllm("0.32.0", "CPU_ATTN")
                  .declare(Fact.LAYOUT, Layout.CPU_ATTENTION, WHERE)
                  .build()
                  .disagreements())
          .isEmpty();
    }

    @Test
    void cpuLayout_saysTheBackend() {
      assertThat(
              engine()
                  .declare(Fact.LAYOUT, Layout.CPU_ATTENTION, WHERE)
                  .build()
                  .value(Fact.ATTENTION_BACKEND))
          .contains("CPU_ATTN");
    }

    @Test
    void layout_ofOtherBackends_isNotKnown() {
      assertThat(vllm("0.32.0", "FLEX_ATTENTION").build().value(Fact.LAYOUT)).isEmpty();
      assertThat(vllm("0.21.0", "TRITON_ATTN").build().value(Fact.LAYOUT)).isEmpty();
      assertThat(vllm("0.20.0", "FLASH_ATTN").build().value(Fact.LAYOUT)).isEmpty();
    }

    @Test
    void layout_ofALatent_doesNotMatter() {
      assertThat(
              engine()
                  .declare(Fact.ARCHITECTURE, Architecture.SPARSE_MLA, WHERE)
                  .build()
                  .value(Fact.LAYOUT))
          .contains(Layout.HND);
    }

    @Test
    void layout_withCrossLayerBlocks_isUsuallyHeadFirst() {
      EngineProfile profile =
          vllm("0.32.0", "FLASH_ATTN")
              .declare(Fact.CONNECTOR, ConnectorConfig.of(crossLayer()), WHERE)
              .build();

      assertThat(profile.value(Fact.CROSS_LAYER_BLOCKS)).contains(true);
      assertThat(profile.value(Fact.LAYOUT)).contains(Layout.CROSS_LAYER);
    }

    @Test
    void layout_withCrossLayerBlocksOfOldReleases_hasToBeSaid() {
      assertThat(
              vllm("0.24.0", "FLASH_ATTN")
                  .declare(Fact.CONNECTOR, ConnectorConfig.of(crossLayer()), WHERE)
                  .build()
                  .value(Fact.LAYOUT))
          .isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"HND", "HND_SPLIT", "HND_SEPARATE"})
    void declaredLayout_withTheFlag_holdsAllLayers(Layout declared) {
      EngineProfile profile = connector(crossLayer()).declare(Fact.LAYOUT, declared, WHERE).build();

      assertThat(profile.value(Fact.CROSS_LAYER_BLOCKS)).contains(true);
      assertThat(profile.value(Fact.LAYOUT)).contains(Layout.CROSS_LAYER);
      assertThat(profile.disagreements()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"NHD", "HEAD_MAJOR"})
    void flag_withAnotherLayout_hasNoEffect(Layout declared) {
      EngineProfile profile = connector(crossLayer()).declare(Fact.LAYOUT, declared, WHERE).build();

      assertThat(profile.value(Fact.CROSS_LAYER_BLOCKS)).contains(false);
      assertThat(profile.value(Fact.LAYOUT)).contains(declared);
    }

    @Test
    void flag_withoutWhatItNeeds_hasNoEffect() {
      assertThat(
              connector(crossLayer())
                  .declare(Fact.ATTENTION_BACKEND, "FLEX_ATTENTION", WHERE)
                  .build()
                  .value(Fact.CROSS_LAYER_BLOCKS))
          .contains(false);
      assertThat(
              connector(crossLayer())
                  .declare(Fact.ARCHITECTURE, Architecture.HYBRID, WHERE)
                  .build()
                  .value(Fact.CROSS_LAYER_BLOCKS))
          .contains(false);
      assertThat(
              connector(crossLayer())
                  .declare(Fact.SHAPE, twoGroups(), WHERE)
                  .build()
                  .value(Fact.CROSS_LAYER_BLOCKS))
          .contains(false);
      assertThat(
              engine()
                  .declare(Fact.CONNECTOR, ConnectorConfig.of(crossLayer()), WHERE)
                  .declare(Fact.CACHE_DTYPE, "fp8_per_token_head", WHERE)
                  .build()
                  .value(Fact.CROSS_LAYER_BLOCKS))
          .contains(false);
    }

    @Test
    void flag_ofAnEngineOfWhichNothingElseIsKnown_takesEffect() {
      assertThat(
              engine()
                  .declare(Fact.CONNECTOR, ConnectorConfig.of(crossLayer()), WHERE)
                  .build()
                  .value(Fact.CROSS_LAYER_BLOCKS))
          .contains(true);
    }

    @Test
    void crossLayerLayout_isADeclarationOfItsOwn() {
      EngineProfile profile =
          dense("P").declare(Fact.LAYOUT, Layout.CROSS_LAYER_LHN, WHERE).build();

      assertThat(profile.value(Fact.CROSS_LAYER_BLOCKS)).contains(true);
      assertThat(profile.value(Fact.LAYOUT)).contains(Layout.CROSS_LAYER_LHN);
    }

    @Test
    void oneRegionForAllLayers_isACrossLayerBlock() {
      EngineProfile profile =
          dense("P").probe(Fact.BLOCK_LENS, List.of(2_097_152L), HANDSHAKE).build();

      assertThat(profile.value(Fact.CROSS_LAYER_BLOCKS)).contains(true);
      assertThat(profile.value(Fact.LAYOUT)).contains(Layout.CROSS_LAYER);
    }

    @ParameterizedTest
    @CsvSource({"32", "64"})
    void aRegionPerLayerOrTwo_isNone(int regions) {
      EngineProfile profile =
          connector(crossLayer())
              .probe(Fact.BLOCK_LENS, Collections.nCopies(regions, 65_536L), HANDSHAKE)
              .build();

      assertThat(profile.value(Fact.CROSS_LAYER_BLOCKS)).contains(false);
      assertThat(profile.disagreements()).isEmpty();
    }

    @Test
    void aRegionPerLayerOfAStage_isNone() {
      EngineProfile profile =
          connector(crossLayer())
              .declare(Fact.PIPELINE_PARALLEL, 2, WHERE)
              .probe(Fact.BLOCK_LENS, Collections.nCopies(16, 65_536L), HANDSHAKE)
              .build();

      assertThat(profile.value(Fact.CROSS_LAYER_BLOCKS)).contains(false);
    }

    @Test
    void regionsThatSayNothing_leaveItToTheConnector() {
      assertThat(
              connector(crossLayer())
                  .probe(Fact.BLOCK_LENS, Collections.nCopies(7, 65_536L), HANDSHAKE)
                  .build()
                  .value(Fact.CROSS_LAYER_BLOCKS))
          .contains(true);
      assertThat(
              dense("P")
                  .declareGeometry(TestEngines.geometry("layers=1"), WHERE)
                  .probe(Fact.BLOCK_LENS, List.of(65_536L), HANDSHAKE)
                  .build()
                  .value(Fact.CROSS_LAYER_BLOCKS))
          .contains(false);
      assertThat(
              dense("P")
                  .declare(Fact.SHAPE, twoGroups(), WHERE)
                  .probe(Fact.BLOCK_LENS, List.of(65_536L), HANDSHAKE)
                  .build()
                  .value(Fact.CROSS_LAYER_BLOCKS))
          .contains(false);
    }

    @Test
    void probedLayoutOfNewReleases_saysWhetherLayersAreTogether() {
      EngineProfile profile =
          connector(crossLayer()).probe(Fact.LAYOUT, Layout.HND, HANDSHAKE).build();

      assertThat(profile.value(Fact.CROSS_LAYER_BLOCKS)).contains(false);
      assertThat(profile.value(Fact.LAYOUT)).contains(Layout.HND);
    }

    @Test
    void probedLayoutOfOldReleases_doesNot() {
      EngineProfile profile =
          connector(crossLayer())
              .declare(Fact.VLLM_VERSION, "0.27.0", WHERE)
              .probe(Fact.LAYOUT, Layout.HND, HANDSHAKE)
              .build();

      assertThat(profile.value(Fact.LAYOUT)).contains(Layout.CROSS_LAYER);
    }

    @Test
    void crossLayerLayout_againstARegionPerLayer_isADisagreement() {
      assertThat(
              dense("P")
                  .declare(Fact.LAYOUT, Layout.CROSS_LAYER, WHERE)
                  .probe(Fact.BLOCK_LENS, Collections.nCopies(32, 65_536L), HANDSHAKE)
                  .build()
                  .disagreements())
          .isNotEmpty();
    }

    private static ModelShape twoGroups() {
      return new ModelShape(
          8,
          128,
          2,
          ElementType.BFLOAT16,
          List.of(
              new CacheGroup.SlidingWindow(List.of(0, 2), 64), new CacheGroup.Full(List.of(1, 3))));
    }
  }

  @Nested
  class Handshakes {
    @ParameterizedTest
    @CsvSource({
      "HND, FLASH_ATTN, 3, HND_SEPARATE",
      "HND, FLASH_ATTN, 4, HND_SPLIT",
      "HND, FLASH_ATTN, 7, HND",
      "HND, FLEX_ATTENTION, 7, HND",
      "NHD, FLASH_ATTN, 3, NHD_SEPARATE",
      "NHD, FLASH_ATTN, 4, NHD_SPLIT",
      "NHD, FLASH_ATTN, 7, NHD",
      "LBHNC, FLASH_ATTN, 14, HND",
      "LBNHC, FLASH_ATTN, 14, NHD",
      "BHLNC, X, 14, CROSS_LAYER",
      "BLHNC, X, 14, CROSS_LAYER_LHN",
      "BLNHC, X, 14, CROSS_LAYER_LNH",
      "LHBNC, X, 14, HEAD_MAJOR",
      "LBHNC, CPU_ATTN, 14, CPU_ATTENTION"
    })
    void layout_isReadByBackendAndVersion(
        String name, String backend, int version, Layout expected) {
      assertThat(HandshakeLayout.of(name, backend, version)).contains(expected);
    }

    @ParameterizedTest
    @CsvSource({"NHD, TRITON_ATTN, 3", "HND, TRITON_ATTN, 3", "XYZ, FLASH_ATTN, 14"})
    void layout_thatCannotBeTold_isNotGuessed(String name, String backend, int version) {
      assertThat(HandshakeLayout.of(name, backend, version)).isEmpty();
    }
  }

  @Nested
  class Connectors {
    @Test
    void settings_areThoseInEffect() {
      EngineProfile profile =
          connector(
                  Map.of(
                      "kv_connector",
                      "NixlPushConnector",
                      "engine_id",
                      "e1",
                      "kv_buffer_device",
                      "cpu",
                      "enable_permute_local_kv",
                      true,
                      "kv_connector_extra_config",
                      Map.of("enforce_handshake_compat", false, "kv_lease_duration", 300)))
              .build();

      assertThat(profile.value(Fact.TRANSFER_MODE)).contains(TransferMode.PUSH);
      assertThat(profile.value(Fact.ENFORCES_HASH)).contains(false);
      assertThat(profile.value(Fact.PERMUTES_LOCAL_KV)).contains(true);
      assertThat(profile.value(Fact.ENGINE_ID)).contains("e1");
      assertThat(profile.value(Fact.HOST_BUFFER)).contains(true);
      assertThat(profile.value(Fact.LEASE)).contains(Duration.ofMinutes(5));
    }

    @Test
    void withoutAConnector_defaultsHold() {
      EngineProfile profile = dense("P").build();

      assertThat(profile.value(Fact.TRANSFER_MODE)).contains(TransferMode.PULL);
      assertThat(profile.value(Fact.ENFORCES_HASH)).contains(true);
      assertThat(profile.value(Fact.PERMUTES_LOCAL_KV)).contains(false);
      assertThat(profile.value(Fact.HOST_BUFFER)).contains(false);
      assertThat(profile.value(Fact.ENGINE_ID)).isEmpty();
      assertThat(profile.value(Fact.PREFIX_CACHING)).contains(true);
      assertThat(profile.value(Fact.SPECULATION)).contains(SpeculativeSetup.NONE);
      assertThat(profile.value(Fact.KIND)).contains(EngineKind.VLLM);
      assertThat(profile.value(Fact.PIPELINE_PARALLEL)).contains(1);
      assertThat(profile.value(Fact.DECODE_CONTEXT_PARALLEL)).contains(1);
      assertThat(profile.value(Fact.PREFILL_CONTEXT_PARALLEL)).contains(1);
      assertThat(profile.value(Fact.CACHE_DTYPE)).contains("auto");
    }

    @Test
    void hostMemory_isNoBufferWhereTheCacheIsThereItself() {
      assertThat(
              connector(Map.of("kv_connector", "NixlConnector", "kv_buffer_device", "cpu"))
                  .declare(Fact.ATTENTION_BACKEND, "CPU_ATTN", WHERE)
                  .build()
                  .value(Fact.HOST_BUFFER))
          .contains(false);
    }

    @Test
    void engineId_ofADataParallelRank_isNotTheConfiguredOne() {
      assertThat(
              connector(Map.of("kv_connector", "NixlConnector", "engine_id", "e1"))
                  .declare(Fact.DATA_PARALLEL_RANK, 1, WHERE)
                  .build()
                  .value(Fact.ENGINE_ID))
          .isEmpty();
    }

    @Test
    void probedMode_againstTheDeclaredConnector_isADisagreement() {
      assertThat(
              connector(Map.of("kv_connector", "NixlConnector"))
                  .probe(Fact.TRANSFER_MODE, TransferMode.PUSH, "transfer_mode")
                  .build()
                  .disagreements())
          .extracting(Disagreement::fact)
          .containsExactly(Fact.TRANSFER_MODE);
    }

    @Test
    void prefixCaching_ofAHybrid_hasToBeSaid() {
      assertThat(
              engine()
                  .declare(Fact.ARCHITECTURE, Architecture.HYBRID, WHERE)
                  .build()
                  .value(Fact.PREFIX_CACHING))
          .isEmpty();
    }

    @ParameterizedTest
    @CsvSource({
      "0.21.0, NixlConnector, false", "0.23.0, NixlConnector, true",
      "0.32.0, LMCacheConnectorV1, false", "0.21.0, Strange, false"
    })
    void hybridCaches_dependOnReleaseAndConnectors(String vllm, String name, boolean expected) {
      assertThat(
              connector(Map.of("kv_connector", name))
                  .declare(Fact.VLLM_VERSION, vllm, WHERE)
                  .build()
                  .value(Fact.HYBRID_CACHE_MANAGER))
          .contains(expected);
    }

    @Test
    void hybridCaches_withAStrangeConnector_areNotKnown() {
      assertThat(
              connector(Map.of("kv_connector", "Strange")).build().value(Fact.HYBRID_CACHE_MANAGER))
          .isEmpty();
      assertThat(dense("P").build().value(Fact.HYBRID_CACHE_MANAGER)).contains(true);
    }
  }

  @Nested
  class HashesOfStatements {
    private static EngineProfile.Builder stated(String model) {
      return EngineProfile.named("P")
          .probe(Fact.VLLM_VERSION, "0.32.0", "GET /version")
          .declare(Fact.MODEL, model, WHERE)
          .declare(Fact.DTYPE, "torch.bfloat16", WHERE)
          .declare(Fact.KV_HEADS, 4, WHERE)
          .declare(Fact.HEAD_SIZE, 32, WHERE)
          .declare(Fact.HIDDEN_LAYERS, 4, WHERE)
          .probe(Fact.ATTENTION_BACKEND, "CPU_ATTN", HANDSHAKE)
          .probe(Fact.CACHE_DTYPE, "auto", "/metrics")
          .declare(Fact.HYBRID_CACHE_MANAGER, true, WHERE)
          .declare(Fact.SPECULATION, SpeculativeSetup.NONE, WHERE)
          .declare(Fact.TRANSFER_MODE, TransferMode.PULL, WHERE)
          .probe(
              Fact.HASH,
              "d72ebc86d49745f5fdf1a7977e3bc0e6d28323cfa02a03e2302f08ce358a226d",
              HANDSHAKE);
    }

    @Test
    void recomputedAlike_confirmsWhatIsDeclared() {
      EngineProfile profile = stated("model").build();

      assertThat(profile.disagreements()).isEmpty();
      assertThat(profile.known(Fact.HASH))
          .map(Known::where)
          .contains(HANDSHAKE + ", recomputed from its factors");
    }

    @Test
    void recomputedAlikeWithDefaults_isConfirmedAsWell() {
      EngineProfile profile =
          EngineProfile.named("P")
              .probe(Fact.VLLM_VERSION, "0.32.0", "GET /version")
              .probe(Fact.MODEL, "model", "GET /v1/models")
              .declareGeometry(TestEngines.geometry("heads=4,layers=4,head-size=32"), WHERE)
              .probe(Fact.ATTENTION_BACKEND, "CPU_ATTN", HANDSHAKE)
              .probe(
                  Fact.HASH,
                  "d72ebc86d49745f5fdf1a7977e3bc0e6d28323cfa02a03e2302f08ce358a226d",
                  HANDSHAKE)
              .build();

      assertThat(profile.known(Fact.HASH))
          .map(Known::where)
          .contains(HANDSHAKE + ", recomputed from its factors");
    }

    @Test
    void recomputedOtherwise_isADisagreement() {
      EngineProfile profile = stated("/models/model").build();

      assertThat(profile.disagreements()).extracting(Disagreement::fact).containsExactly(Fact.HASH);
      assertThat(profile.disagreements().getFirst().declared().value())
          .isEqualTo(
              new CompatibilityHash(
                      "0.32.0",
                      14,
                      "/models/model",
                      "torch.bfloat16",
                      4,
                      32,
                      4,
                      "CPU_ATTN",
                      "auto",
                      false,
                      true,
                      null,
                      "pull")
                  .hex());
    }

    @Test
    void defaults_areNoStatements() {
      EngineProfile profile =
          EngineProfile.named("P")
              .declare(Fact.MODEL, "another", WHERE)
              .declareGeometry(TestEngines.geometry("heads=4,layers=4,head-size=32"), WHERE)
              .declare(Fact.VLLM_VERSION, "0.32.0", WHERE)
              .declare(Fact.ATTENTION_BACKEND, "CPU_ATTN", WHERE)
              .probe(Fact.HASH, "00", HANDSHAKE)
              .build();

      assertThat(profile.disagreements()).isEmpty();
      assertThat(profile.known(Fact.HASH)).map(Known::where).contains(HANDSHAKE);
    }
  }
}
