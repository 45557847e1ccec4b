package dev.millrace.layout.compatibility.matrix;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.CacheGroup;
import dev.millrace.layout.CompatibilityHash.Speculation;
import dev.millrace.layout.ElementType;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.compatibility.Architecture;
import dev.millrace.layout.compatibility.Compatibility;
import dev.millrace.layout.compatibility.ConnectorConfig;
import dev.millrace.layout.compatibility.ConnectorRelease;
import dev.millrace.layout.compatibility.EngineProfile;
import dev.millrace.layout.compatibility.Fact;
import dev.millrace.layout.compatibility.SpeculativeSetup;
import dev.millrace.layout.compatibility.Verdict;
import dev.millrace.layout.compatibility.Way;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiConsumer;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** No cell promises what a verdict refuses, nor the other way round. */
class MatrixVerdictTest {
  private static final String WHERE = "declared";

  /** A cell of one connector version. */
  record Case(int version, Architecture architecture, Capability capability) {
    Cell cell() {
      return Matrix.of(version).cell(architecture, capability);
    }
  }

  static Stream<Case> cases() {
    List<Case> cases = new ArrayList<>();
    for (int version = 1; version <= ConnectorRelease.NEWEST; version++) {
      for (Architecture architecture : Architecture.values()) {
        for (Capability capability : Capability.values()) {
          cases.add(new Case(version, architecture, capability));
        }
      }
    }
    return cases.stream();
  }

  @ParameterizedTest
  @MethodSource("cases")
  void cell_ofEngines_isWhatTheVerdictSays(Case of) {
    Verdict verdict =
        check(of, Way.ENGINE, (prefill, decode) -> apply(of.capability(), prefill, decode));

    switch (of.cell().mark()) {
      case YES, PART -> assertThat(verdict.fits()).as("%s", verdict).isTrue();
      case NO, WORK_IN_PROGRESS -> {
        if (!ignoresTheFlag(of)) {
          assertThat(verdict).isInstanceOf(Verdict.Refused.class);
        }
      }
      case UNKNOWN -> {
        if (of.architecture() == Architecture.MULTIMODAL) {
          assertThat(verdict).isInstanceOf(Verdict.Unknown.class);
        }
      }
    }
  }

  /** Hybrids keep their layers apart whatever the flag says, on both sides. */
  private static boolean ignoresTheFlag(Case of) {
    return of.architecture() == Architecture.HYBRID
        && of.capability() == Capability.CROSS_LAYER_BLOCKS;
  }

  @ParameterizedTest
  @MethodSource("cases")
  void cell_ofAgents_isWhatTheVerdictSaysOfEnginesThatRefuse(Case of) {
    for (Way way : of.cell().agents()) {
      BiConsumer<EngineProfile.Builder, EngineProfile.Builder> misfit =
          (prefill, decode) -> misfit(of, way, prefill, decode);

      assertThat(check(of, Way.ENGINE, misfit)).isInstanceOf(Verdict.Refused.class);
      Verdict verdict = check(of, way, misfit);
      assertThat(verdict.fits()).as("%s", verdict).isTrue();
    }
  }

  private static Verdict check(
      Case of, Way way, BiConsumer<EngineProfile.Builder, EngineProfile.Builder> change) {
    EngineProfile.Builder prefill = engine("P", of);
    EngineProfile.Builder decode = engine("D", of);
    change.accept(prefill, decode);
    return Compatibility.check(prefill.build(), decode.build(), way);
  }

  private static EngineProfile.Builder engine(String name, Case of) {
    boolean latent = of.architecture().isLatent();
    return EngineProfile.named(name)
        .declare(Fact.VLLM_VERSION, "connector " + of.version(), WHERE)
        .declare(Fact.CONNECTOR_VERSION, of.version(), WHERE)
        .declare(Fact.MODEL, "org/model", WHERE)
        .declare(Fact.ARCHITECTURE, of.architecture(), WHERE)
        .declare(Fact.SHAPE, shape(of.architecture()), WHERE)
        .declare(Fact.HIDDEN_LAYERS, 8, WHERE)
        .declare(Fact.DTYPE, "torch.bfloat16", WHERE)
        .declare(Fact.ATTENTION_BACKEND, latent ? "FLASHMLA" : "FLASH_ATTN", WHERE)
        .declare(Fact.TENSOR_PARALLEL, 2, WHERE)
        .declare(Fact.BLOCK_SIZE, 64, WHERE)
        .declare(Fact.KERNEL_BLOCK_SIZE, 64, WHERE)
        .declare(Fact.LAYOUT, Layout.HND, WHERE)
        .declare(Fact.HYBRID_CACHE_MANAGER, true, WHERE)
        .declare(Fact.PREFIX_CACHING, false, WHERE);
  }

  private static ModelShape shape(Architecture architecture) {
    return switch (architecture) {
      case MLA, SPARSE_MLA -> ModelShape.mla(8, 576, ElementType.BFLOAT16);
      case HYBRID ->
          // States are not what is judged here; a second group is.
          new ModelShape(
              8,
              128,
              2,
              ElementType.BFLOAT16,
              List.of(
                  new CacheGroup.Full(List.of(0, 2)),
                  new CacheGroup.SlidingWindow(List.of(1, 3), 64)));
      case DENSE, MOE, MULTIMODAL, ENCODER_DECODER ->
          ModelShape.dense(8, 8, 128, ElementType.BFLOAT16);
    };
  }

  /** What the capability is about, as vLLM's page has it. */
  private static void apply(
      Capability capability, EngineProfile.Builder prefill, EngineProfile.Builder decode) {
    switch (capability) {
      case BASIC -> {}
      case SPECULATIVE_DECODING -> {
        prefill.declare(Fact.SPECULATION, eagle(), WHERE);
        decode.declare(Fact.SPECULATION, eagle(), WHERE);
      }
      case UNEQUAL_TENSOR_PARALLEL -> decode.declare(Fact.TENSOR_PARALLEL, 4, WHERE);
      case CROSS_LAYER_BLOCKS -> {
        prefill.declare(Fact.CONNECTOR, crossLayer(), WHERE);
        decode.declare(Fact.CONNECTOR, crossLayer(), WHERE);
      }
      case SLIDING_WINDOW -> {
        prefill.declare(Fact.HYBRID_CACHE_MANAGER, false, WHERE);
        decode.declare(Fact.HYBRID_CACHE_MANAGER, false, WHERE);
      }
      case HOST_BUFFER -> {
        prefill.declare(Fact.HOST_BUFFER, true, WHERE);
        decode.declare(Fact.HOST_BUFFER, true, WHERE);
      }
      case UNEQUAL_BLOCK_SIZE -> block(decode, 128);
    }
  }

  /** What engines refuse of a capability and an agent mends. */
  private static void misfit(
      Case of, Way way, EngineProfile.Builder prefill, EngineProfile.Builder decode) {
    switch (of.capability()) {
      case UNEQUAL_TENSOR_PARALLEL -> {
        if (of.architecture().isLatent()) {
          prefill.declare(Fact.TENSOR_PARALLEL, 3, WHERE);
        } else {
          // Engines do not gather heads out of larger blocks.
          prefill.declare(Fact.TENSOR_PARALLEL, 4, WHERE);
          block(prefill, 128);
        }
      }
      case CROSS_LAYER_BLOCKS -> {
        Layout layers = way == Way.BRIDGE ? Layout.CROSS_LAYER_LHN : Layout.CROSS_LAYER;
        prefill.declare(Fact.LAYOUT, layers, WHERE);
      }
      case UNEQUAL_BLOCK_SIZE -> {
        Layout layout = way == Way.BRIDGE ? Layout.NHD : Layout.HND;
        prefill.declare(Fact.LAYOUT, layout, WHERE);
        decode.declare(Fact.LAYOUT, layout, WHERE);
        block(prefill, 128);
      }
      case BASIC, SPECULATIVE_DECODING, SLIDING_WINDOW, HOST_BUFFER ->
          throw new AssertionError("agents add nothing to " + of);
    }
  }

  private static void block(EngineProfile.Builder engine, int tokens) {
    engine.declare(Fact.BLOCK_SIZE, tokens, WHERE).declare(Fact.KERNEL_BLOCK_SIZE, tokens, WHERE);
  }

  private static ConnectorConfig crossLayer() {
    return ConnectorConfig.of(
        Map.of(
            "kv_connector",
            "NixlConnector",
            "kv_connector_extra_config",
            Map.of("enable_cross_layers_blocks", "True")));
  }

  private static SpeculativeSetup eagle() {
    return new SpeculativeSetup(
        "eagle",
        Optional.of(new Speculation("eagle", "org/draft", null, null, false, "auto", null)),
        Optional.of(3));
  }
}
