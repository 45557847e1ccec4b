package dev.millrace.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.layout.CompatibilityHash.Speculation;
import dev.millrace.layout.Layout;
import dev.millrace.layout.compatibility.TransferMode;
import dev.millrace.transfer.sidechannel.AgentMetadata;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
import dev.millrace.transfer.sidechannel.HandshakeCodec;
import dev.millrace.transfer.sidechannel.RankId;
import dev.millrace.transfer.sidechannel.SideChannelClient;
import java.time.Duration;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.FieldSource;

/** Engines play the release that they are told to play. */
class ReleasesTest {
  private static final Duration SOON = Duration.ofMillis(300);

  @RegisterExtension private final EngineInvariants engines = new EngineInvariants();

  private SimulatedEngine engine(
      ConnectorVersion version, Pairing pairing, UnaryOperator<EngineConfig.Builder> change) {
    return engines.start(c ->
        change.apply(
            c.release(new VllmRelease(version))
                .pairing(pairing)
                .geometry(EngineInvariants.geometry(1, 16, Layout.HND))));
  }

  private SimulatedEngine vllm(
      ConnectorVersion version, UnaryOperator<EngineConfig.Builder> change) {
    return engine(version, Pairing.VLLM, change);
  }

  @ParameterizedTest
  @EnumSource
  void release_alongsideItself_pairsAndReleases(ConnectorVersion version) {
    SimulatedEngine prefill =
        vllm(version, c -> c.geometry(EngineInvariants.geometry(2, 16, Layout.HND)));
    SimulatedEngine decode =
        vllm(version, c -> c.geometry(EngineInvariants.geometry(4, 32, Layout.HND)));
    SimulatedEngine one =
        engines.start(c -> c.geometry(EngineInvariants.geometry(1, 16, Layout.NHD)));
    String prompt = Legs.prompt(50);

    assertThat(Legs.disaggregated(prefill, decode, prompt, 6))
        .isEqualTo(Legs.aggregated(one, prompt, 6));
    EngineInvariants.await(() -> prefill.stats().releasedHandoffs() == 1);
    assertThat(decode.stats().promptTokensByExternalTransfer()).isEqualTo(50);
  }

  @ParameterizedTest
  @CsvSource({"V2, V14", "V14, V2", "V4, V9", "V7, V4", "V11, V5"})
  void releases_thatDiffer_pairOnlyIfAPlanDecides(ConnectorVersion old, ConnectorVersion other) {
    SimulatedEngine prefill = engine(old, Pairing.VLLM, c -> c.lease(SOON));
    SimulatedEngine decode =
        engine(other, Pairing.ANY, c -> c.geometry(EngineInvariants.geometry(2, 16, Layout.HND)));
    SimulatedEngine forgiving = engine(old, Pairing.ANY, c -> c);
    SimulatedEngine strict = vllm(other, c -> c);
    SimulatedEngine one =
        engines.start(c -> c.geometry(EngineInvariants.geometry(1, 16, Layout.NHD)));
    String prompt = Legs.prompt(50);

    assertThat(Legs.disaggregated(forgiving, decode, prompt, 6))
        .isEqualTo(Legs.aggregated(one, prompt, 6));
    EngineInvariants.await(() -> forgiving.stats().releasedHandoffs() == 1);
    String params = Legs.prefill(prefill, prompt);
    assertThat(Legs.decode(strict, prompt, 6, params).statusCode()).isEqualTo(500);
  }

  @ParameterizedTest
  @CsvSource({
    "V2, HND, 6, HND, 0.19.1",
    "V4, HND, 3, HND, 0.24.0",
    "V5, NHD, 3, NHD, 0.27.1",
    "V7, CROSS_LAYER, 1, HND, 0.28.0",
    "V9, HND, 3, LBHNC, 0.29.0",
    "V11, CROSS_LAYER, 1, BHLNC, 0.30.0",
    "V14, NHD, 3, LBNHC, 0.32.0"
  })
  void handshake_ofARelease_hasItsRegionsAndLayoutName(
      ConnectorVersion version, Layout layout, int regions, String name, String vllm) {
    SimulatedEngine engine =
        vllm(version, c -> c.geometry(EngineInvariants.geometry(1, 16, layout)));

    AgentMetadata said = handshake(engine);

    assertThat(said.blockLens()).hasSize(regions);
    assertThat(said.kvCacheLayout()).isEqualTo(name);
    assertThat(Caller.get(engine, "/version").body()).isEqualTo("{\"version\":\"" + vllm + "\"}");
  }

  private static AgentMetadata handshake(SimulatedEngine engine) {
    ConnectorVersion version = engine.config().release().connector();
    try (SideChannelClient client = new SideChannelClient()) {
      return HandshakeCodec.decodeMetadata(
          client
              .ask(
                  "127.0.0.1",
                  engine.sideChannelPort(),
                  new RankId(0, 0),
                  version,
                  Duration.ofSeconds(10))
              .join()
              .metadata(),
          version);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "V2, tp_size, remote_num_tokens",
    "V3, remote_num_tokens, remote_blocks_expiry_time",
    "V5, remote_blocks_expiry_time, transfer_mode",
    "V7, transfer_mode, dcp_size",
    "V11, dcp_size, remote_prefill_cached_tokens"
  })
  void params_ofARelease_haveItsKeys(ConnectorVersion version, String last, String notYet) {
    SimulatedEngine engine = vllm(version, c -> c.lease(SOON));

    assertThat(Legs.prefill(engine, Legs.prompt(20)))
        .contains("\"" + last + "\"")
        .doesNotContain(notYet);
  }

  @Test
  void lease_beforeThereWereHeartbeats_isEightMinutes() {
    assertThat(EngineConfig.builder().release(new VllmRelease(ConnectorVersion.V3)).build().lease())
        .isEqualTo(Duration.ofMinutes(8));
    assertThat(EngineConfig.builder().build().lease()).isEqualTo(Duration.ofSeconds(30));
  }

  @Test
  void layout_withoutAName_isRefused() {
    EngineConfig.Builder config =
        EngineConfig.builder()
            .release(new VllmRelease(ConnectorVersion.V7))
            .geometry(EngineInvariants.geometry(1, 16, Layout.HEAD_MAJOR));

    assertThatThrownBy(config::build)
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("head-major")
        .hasMessageContaining("7");
  }

  /** One flag of a decode engine that makes its hash another one. */
  record Factor(ConnectorVersion version, String name, UnaryOperator<EngineConfig.Builder> flag) {
    @Override
    public String toString() {
      return name + " " + version;
    }
  }

  static final List<Factor> FACTORS =
      List.of(
          new Factor(ConnectorVersion.V14, "model", c -> c.modelPath("/models/tiny")),
          new Factor(ConnectorVersion.V14, "dtype", c -> c.dtype("torch.float16")),
          new Factor(ConnectorVersion.V14, "backend", c -> c.attentionBackend("FLASHINFER")),
          new Factor(ConnectorVersion.V14, "cache dtype", c -> c.cacheDtype("bfloat16")),
          new Factor(ConnectorVersion.V14, "hybrid caches", c -> c.hybridCaches(false)),
          new Factor(
              ConnectorVersion.V14,
              "speculation",
              c ->
                  c.speculation(
                      new Speculation("eagle3", "draft", null, null, false, "auto", null))),
          new Factor(ConnectorVersion.V14, "mode", c -> c.transferMode(TransferMode.PUSH)),
          new Factor(
              ConnectorVersion.V2,
              "cross-layer",
              c -> c.geometry(EngineInvariants.geometry(1, 16, Layout.CROSS_LAYER))));

  @ParameterizedTest
  @FieldSource("FACTORS")
  void factorOfTheHash_thatDiffers_isRefusedAndLeftAloneIfUnhashed(Factor factor) {
    SimulatedEngine prefill = vllm(factor.version(), c -> c.lease(SOON));
    SimulatedEngine decode = vllm(factor.version(), factor.flag());
    SimulatedEngine same = vllm(factor.version(), c -> c);
    String prompt = Legs.prompt(20);

    assertThat(decode.config().hash().differences(prefill.config().hash())).hasSize(1);
    String params = Legs.prefill(prefill, prompt);
    assertThat(Legs.decode(decode, prompt, 4, params).statusCode()).isEqualTo(500);
    Legs.disaggregated(prefill, same, prompt, 4);
  }

  @Test
  void hash_notEnforced_pairsAllTheSame() {
    SimulatedEngine prefill = vllm(ConnectorVersion.V14, c -> c.modelPath("/models/tiny"));
    SimulatedEngine decode = engine(ConnectorVersion.V14, Pairing.VLLM_UNHASHED, c -> c);
    SimulatedEngine one =
        engines.start(c -> c.geometry(EngineInvariants.geometry(1, 16, Layout.NHD)));
    String prompt = Legs.prompt(50);

    assertThat(Legs.disaggregated(prefill, decode, prompt, 6))
        .isEqualTo(Legs.aggregated(one, prompt, 6));
  }

  /** vLLM before v0.27 asserts on decode ranks that share a head. */
  @Test
  void moreRanksThanHeads_beforeVersion5_areRefused() {
    Stream.of(ConnectorVersion.V4, ConnectorVersion.V5)
        .forEach(version -> {
          SimulatedEngine prefill = vllm(version, c -> c.lease(SOON));
          SimulatedEngine decode =
              vllm(version, c -> c.geometry(EngineInvariants.geometry(8, 16, Layout.HND)));
          String prompt = Legs.prompt(20);
          int status = Legs.decode(decode, prompt, 4, Legs.prefill(prefill, prompt)).statusCode();
          assertThat(status).isEqualTo(version == ConnectorVersion.V4 ? 500 : 200);
        });
  }

  /** A probe in the wrong form silences a real engine for all who come later. */
  @Test
  void sideChannel_askedInAnotherForm_neverAnswersAgain() {
    SimulatedEngine prefill = vllm(ConnectorVersion.V14, c -> c.lease(SOON));
    SimulatedEngine decode = vllm(ConnectorVersion.V14, c -> c);
    try (SideChannelClient client = new SideChannelClient()) {
      assertThatThrownBy(() ->
              client
                  .ask(
                      "127.0.0.1",
                      prefill.sideChannelPort(),
                      new RankId(0, 0),
                      ConnectorVersion.V4,
                      SOON)
                  .join())
          .hasMessageContaining("gave no answer");
    }
    String prompt = Legs.prompt(20);

    assertThat(Legs.decode(decode, prompt, 4, Legs.prefill(prefill, prompt)).statusCode())
        .isEqualTo(500);
    assertThat(Caller.get(prefill, "/health").statusCode()).isEqualTo(200);
  }
}
