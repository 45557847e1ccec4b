package dev.millrace.layout.compatibility;

import static dev.millrace.layout.compatibility.TestEngines.WHERE;
import static dev.millrace.layout.compatibility.TestEngines.dense;
import static dev.millrace.layout.compatibility.TestEngines.hybrid;
import static dev.millrace.layout.compatibility.TestEngines.latent;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.CompatibilityHash.Speculation;
import dev.millrace.layout.Layout;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Twelve ways in which engines do not fit, and twelve in which they do. */
class FixturePairsTest {
  /**
   * A pair.
   *
   * @param first the rule of the first reason
   */
  record Misfit(
      String name, EngineProfile.Builder prefill, EngineProfile.Builder decode, Rule first) {
    @Override
    public String toString() {
      return name;
    }
  }

  record Fit(String name, EngineProfile.Builder prefill, EngineProfile.Builder decode) {
    @Override
    public String toString() {
      return name;
    }
  }

  private static EngineProfile.Builder withTp(EngineProfile.Builder engine, int size) {
    return engine.declare(Fact.TENSOR_PARALLEL, size, WHERE);
  }

  private static EngineProfile.Builder withBlock(EngineProfile.Builder engine, int tokens) {
    return engine
        .declare(Fact.BLOCK_SIZE, tokens, WHERE)
        .declare(Fact.PREFIX_CACHING, false, WHERE);
  }

  private static EngineProfile.Builder withConnector(
      EngineProfile.Builder engine, Map<String, Object> json) {
    return engine.declare(Fact.CONNECTOR, ConnectorConfig.of(json), WHERE);
  }

  private static EngineProfile.Builder vllm(EngineProfile.Builder engine, String version) {
    return engine.declare(Fact.VLLM_VERSION, version, WHERE);
  }

  private static Map<String, Object> crossLayer() {
    return Map.of(
        "kv_connector",
        "NixlConnector",
        "kv_connector_extra_config",
        Map.of("enable_cross_layers_blocks", "True"));
  }

  private static Map<String, Object> multi(Map<String, Object> other) {
    return Map.of(
        "kv_connector",
        "MultiConnector",
        "kv_connector_extra_config",
        Map.of("connectors", List.of(crossLayer(), other)));
  }

  static Stream<Misfit> misfits() {
    return Stream.of(
        new Misfit(
            "block 128 against 64",
            withBlock(dense("P"), 128),
            withBlock(dense("D"), 64),
            Rule.BLOCK_SIZE),
        new Misfit(
            "kernel block of P larger than that of D",
            withBlock(dense("P"), 64).probe(Fact.KERNEL_BLOCK_SIZE, 64, WHERE),
            withBlock(dense("D"), 64).probe(Fact.KERNEL_BLOCK_SIZE, 16, WHERE),
            Rule.BLOCK_SIZE),
        new Misfit(
            "TP 3 against 2", withTp(dense("P"), 3), withTp(dense("D"), 2), Rule.TENSOR_PARALLEL),
        new Misfit(
            "P TP above the number of KV heads",
            withTp(dense("P"), 16),
            withTp(dense("D"), 8),
            Rule.REPLICATED_HEADS),
        new Misfit(
            "NHD with unequal TP",
            withTp(dense("P"), 2).declare(Fact.LAYOUT, Layout.NHD, WHERE),
            withTp(dense("D"), 4).declare(Fact.LAYOUT, Layout.NHD, WHERE),
            Rule.HEADS_NOT_CONTIGUOUS),
        new Misfit("fp8 against auto", fp8(dense("P")), dense("D"), Rule.CACHE_DTYPE),
        new Misfit(
            "another attention backend",
            dense("P"),
            dense("D").declare(Fact.ATTENTION_BACKEND, "FLASHINFER", WHERE),
            Rule.ATTENTION_BACKEND),
        new Misfit(
            "push against pull",
            withConnector(dense("P"), Map.of("kv_connector", "NixlPushConnector")),
            withConnector(dense("D"), Map.of("kv_connector", "NixlConnector")),
            Rule.TRANSFER_MODE),
        new Misfit(
            "another vLLM version",
            vllm(dense("P"), "0.31.0"),
            vllm(dense("D"), "0.32.0"),
            Rule.VLLM_VERSION),
        new Misfit(
            "hybrid with unequal TP, vLLM 0.19",
            withTp(vllm(hybrid("P"), "0.19.1"), 2),
            withTp(vllm(hybrid("D"), "0.19.1"), 1),
            Rule.HYBRID_TENSOR_PARALLEL),
        new Misfit(
            "MultiConnector on one side",
            withConnector(
                vllm(dense("P"), "0.24.0"), multi(Map.of("kv_connector", "DynamoConnector"))),
            withConnector(vllm(dense("D"), "0.24.0"), crossLayer()),
            Rule.CROSS_LAYER_BLOCKS),
        new Misfit(
            "encoder-decoder",
            dense("P").declare(Fact.ARCHITECTURE, Architecture.ENCODER_DECODER, WHERE),
            dense("D").declare(Fact.ARCHITECTURE, Architecture.ENCODER_DECODER, WHERE),
            Rule.ARCHITECTURE));
  }

  private static EngineProfile.Builder fp8(EngineProfile.Builder engine) {
    return engine
        .declareGeometry(
            TestEngines.geometry(
                "tp=1,block=16,layout=hnd,heads=8,layers=32,head-size=128,dtype=fp8_e4m3"),
            WHERE)
        .declare(Fact.DTYPE, "torch.bfloat16", WHERE)
        .declare(Fact.CACHE_DTYPE, "fp8", WHERE);
  }

  static Stream<Fit> fits() {
    return Stream.of(
        new Fit("two of a kind", dense("P"), dense("D")),
        new Fit("TP 1 to 2", withTp(dense("P"), 1), withTp(dense("D"), 2)),
        new Fit("TP 4 to 2", withTp(dense("P"), 4), withTp(dense("D"), 2)),
        new Fit("TP 8 to 16 with 8 KV heads", withTp(dense("P"), 8), withTp(dense("D"), 16)),
        new Fit(
            "block 16 to 64 without prefix cache",
            withBlock(dense("P"), 16),
            withBlock(dense("D"), 64)),
        new Fit("MLA, TP 8 to 1", withTp(latent("P"), 8), withTp(latent("D"), 1)),
        new Fit("MLA, TP 1 to 8", withTp(latent("P"), 1), withTp(latent("D"), 8)),
        new Fit(
            "cross-layer blocks on both sides",
            withConnector(vllm(dense("P"), "0.24.0"), crossLayer()),
            withConnector(vllm(dense("D"), "0.24.0"), crossLayer())),
        new Fit(
            "hybrid with unequal TP, vLLM 0.32", withTp(hybrid("P"), 2), withTp(hybrid("D"), 1)),
        new Fit(
            "the same draft model, another number of tokens",
            dense("P").declare(Fact.SPECULATION, eagle(3), WHERE),
            dense("D").declare(Fact.SPECULATION, eagle(5), WHERE)),
        new Fit("fp8 with static scales", fp8(dense("P")), fp8(dense("D"))),
        new Fit(
            "HND into NHD by permuting",
            dense("P"),
            withConnector(
                dense("D").declare(Fact.LAYOUT, Layout.NHD, WHERE),
                Map.of("kv_connector", "NixlConnector", "enable_permute_local_kv", "True"))));
  }

  private static SpeculativeSetup eagle(int tokens) {
    return new SpeculativeSetup(
        "eagle3",
        Optional.of(
            new Speculation("eagle3", "org/draft", null, null, false, "auto", List.of(2, 14, 25))),
        Optional.of(tokens));
  }

  @ParameterizedTest
  @MethodSource("misfits")
  void check_misfit_isRefusedForTheRightReason(Misfit pair) {
    Verdict verdict = Verdicts.engine(pair.prefill(), pair.decode());

    assertThat(Verdicts.refusing(verdict)).startsWith(pair.first());
  }

  @ParameterizedTest
  @MethodSource("fits")
  void check_fit_isAccepted(Fit pair) {
    Verdict verdict = Verdicts.engine(pair.prefill(), pair.decode());

    assertThat(verdict.fits()).as("%s", verdict).isTrue();
  }
}
