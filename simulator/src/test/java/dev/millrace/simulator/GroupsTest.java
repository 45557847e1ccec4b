package dev.millrace.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.GeometryText;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Models with several KV-cache groups: a sliding window, states of state-space layers. */
class GroupsTest {
  private static final String WINDOW = "heads=4,layers=4,head-size=16,window=40,";
  private static final String HYBRID =
      "heads=4,layers=2,head-size=16,state=mamba2:8:4:4:8,state-layers=4,";

  @RegisterExtension private final EngineInvariants engines = new EngineInvariants();

  private SimulatedEngine engine(Pairing pairing, String geometry) {
    GeometrySpec spec = GeometryText.parse(geometry);
    return engines.start(c -> c.pairing(pairing).geometry(spec));
  }

  private static String window(String more, int blocks) {
    return WINDOW + "blocks=" + blocks + "," + more;
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          tp=1,block=16            | tp=1,block=16
          tp=1,block=16            | tp=2,block=32
          tp=4,block=32            | tp=2,block=16,layout=nhd
          tp=2,block=16,layout=nhd | tp=8,block=48
          """)
  void window_acrossGeometries_equalsAggregated(String prefillText, String decodeText) {
    SimulatedEngine prefill = engine(Pairing.ANY, window(prefillText, 200));
    SimulatedEngine decode = engine(Pairing.ANY, window(decodeText, 200));
    SimulatedEngine one = engine(Pairing.ANY, window("block=8", 400));
    for (int tokens : new int[] {1, 15, 40, 41, 64, 150}) {
      String prompt = Legs.prompt(tokens);
      assertThat(Legs.disaggregated(prefill, decode, prompt, 60))
          .as("%d tokens", tokens)
          .isEqualTo(Legs.aggregated(one, prompt, 60));
    }
    EngineInvariants.await(() -> prefill.stats().releasedHandoffs() == 6);
    assertThat(decode.stats().prefillTokensComputed()).isZero();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          ANY  | tp=1,block=16 | tp=1,block=16
          ANY  | tp=1,block=16 | tp=4,block=16
          ANY  | tp=4,block=32 | tp=2,block=16,layout=nhd
          VLLM | tp=2,block=16 | tp=2,block=16
          VLLM | tp=1,block=16 | tp=2,block=16
          """)
  void states_acrossGeometries_equalAggregated(
      Pairing pairing, String prefillText, String decodeText) {
    SimulatedEngine prefill = engine(pairing, HYBRID + prefillText);
    SimulatedEngine decode = engine(pairing, HYBRID + decodeText);
    SimulatedEngine one = engine(Pairing.ANY, HYBRID + "block=8");
    for (int tokens : new int[] {1, 2, 16, 17, 100}) {
      String prompt = Legs.prompt(tokens);
      assertThat(Legs.disaggregated(prefill, decode, prompt, 20))
          .as("%d tokens", tokens)
          .isEqualTo(Legs.aggregated(one, prompt, 20));
    }
    EngineInvariants.await(() -> prefill.stats().releasedHandoffs() == 5);
    // Each time the last token, whose state nobody hands over.
    assertThat(decode.stats().prefillTokensComputed()).isEqualTo(5);
    assertThat(decode.stats().promptTokensByExternalTransfer()).isEqualTo(131);
  }

  /** vLLM 0.32.0, model with a window of 64, block size 32, 200 tokens: 3 and 7 blocks. */
  @Test
  void params_twoGroups_areClippedAsRecorded() {
    SimulatedEngine prefill =
        engine(Pairing.VLLM, "heads=4,layers=4,head-size=16,window=64,blocks=100,block=32");
    SimulatedEngine decode =
        engine(Pairing.VLLM, "heads=4,layers=4,head-size=16,window=64,blocks=100,block=32");
    String recorded = Json.raw(Recordings.text("p_leg_swa_two_groups.json"), "kv_transfer_params");

    String prompt = Legs.prompt(200);
    String params = Legs.prefill(prefill, prompt);

    assertThat(groupSizes(params)).isEqualTo(groupSizes(recorded)).containsExactly(3, 7);
    assertThat(prefill.stats().heldBlocks()).isEqualTo(10);
    assertThat(Legs.decode(decode, prompt, 4, params).statusCode()).isEqualTo(200);
    EngineInvariants.await(() -> prefill.stats().heldBlocks() == 0);
  }

  private static List<Integer> groupSizes(String params) {
    String groups = Json.raw(params, "remote_block_ids").replaceAll("\\s", "");
    return List.of(groups.substring(2, groups.length() - 2).split("],\\[", -1)).stream()
        .map(group -> group.split(",", -1).length)
        .toList();
  }

  /** The last prompt token is left to the decode engine, and of each state there is one block. */
  @Test
  void params_states_holdAllButTheLastToken() {
    SimulatedEngine prefill = engine(Pairing.ANY, HYBRID + "block=16");
    SimulatedEngine decode = engine(Pairing.ANY, HYBRID + "block=16");
    String prompt = Legs.prompt(33);

    String params = Legs.prefill(prefill, prompt);

    assertThat(Json.at(params, "remote_num_tokens")).isEqualTo("32");
    int perId = prefill.config().geometry().blocksPerId();
    assertThat(groupSizes(params)).containsExactly(1, 1, Math.ceilDiv(32, 16 * perId));
    assertThat(Legs.decode(decode, prompt, 4, params).statusCode()).isEqualTo(200);
  }

  @Test
  void prefixHit_onDecode_onlyTheRestIsRead() {
    SimulatedEngine prefill = engine(Pairing.ANY, window("block=16", 200));
    SimulatedEngine decode = engine(Pairing.ANY, window("block=16", 200));
    SimulatedEngine one = engine(Pairing.ANY, window("block=16", 200));
    Legs.disaggregated(prefill, decode, Legs.prompt(128), 4);
    long before = decode.stats().bytesTransferred();
    String prompt = Legs.prompt(144);

    assertThat(Legs.disaggregated(prefill, decode, prompt, 30))
        .isEqualTo(Legs.aggregated(one, prompt, 30));
    assertThat(decode.stats().promptTokensByLocalCache()).isEqualTo(128);
    assertThat(decode.stats().bytesTransferred() - before)
        .isEqualTo(16 * decode.config().geometry().model().bytesPerToken());
  }

  @Test
  void states_areNotSharedByPrefix() {
    SimulatedEngine engine = engine(Pairing.ANY, HYBRID + "block=16");
    Legs.aggregated(engine, Legs.prompt(64), 4);
    Legs.aggregated(engine, Legs.prompt(64), 4);

    assertThat(engine.stats().promptTokensByLocalCache()).isZero();
    assertThat(Caller.get(engine, "/metrics").body()).contains("enable_prefix_caching=\"False\"");
  }

  @ParameterizedTest
  @ValueSource(strings = {"SwapBlocks", "DropLastBlock", "CorruptByte", "ShiftByOneToken"})
  void answer_anyByteWrong_isAnother(String what) {
    SimulatedEngine prefill = engine(Pairing.ANY, window("block=16", 200));
    SimulatedEngine decode = engine(Pairing.ANY, window("block=16", 200));
    SimulatedEngine one = engine(Pairing.ANY, window("block=16", 200));
    decode.misbehave(
        switch (what) {
          case "SwapBlocks" -> new Misbehaviour.SwapBlocks();
          case "DropLastBlock" -> new Misbehaviour.DropLastBlock();
          case "CorruptByte" -> new Misbehaviour.CorruptByte();
          case "ShiftByOneToken" -> new Misbehaviour.ShiftByOneToken();
          default -> throw new AssertionError(what);
        });
    String prompt = Legs.prompt(100);
    assertThat(Legs.disaggregated(prefill, decode, prompt, 3))
        .isNotEqualTo(Legs.aggregated(one, prompt, 3));
  }

  @Test
  void asVllm_tooFewGroups_endsTheEngine_aSurplusIsIgnored() {
    SimulatedEngine prefill = engine(Pairing.VLLM, window("block=16", 200));
    SimulatedEngine decode = engine(Pairing.VLLM, window("block=16", 200));
    String prompt = Legs.prompt(50);
    String surplus = Legs.prefill(prefill, prompt).replace("]]", "],[1]]");
    assertThat(Legs.decode(decode, prompt, 4, surplus).statusCode()).isEqualTo(200);

    String params = Legs.prefill(prefill, "z" + prompt);
    String tooFew = params.replaceAll("\\[\\[[^]]*],", "[");
    assertThat(Legs.decode(decode, "z" + prompt, 4, tooFew).statusCode()).isEqualTo(500);
    EngineInvariants.await(() -> !Caller.reaches(decode));
    Legs.disaggregated(prefill, engine(Pairing.VLLM, window("block=16", 200)), "y" + prompt, 2);
    release(prefill, params);
  }

  /** By a request that is refused, as a router does it. */
  private void release(SimulatedEngine prefill, String params) {
    SimulatedEngine other = engines.start(c -> c.geometry(prefill.config().geometry()));
    String refused =
        Legs.with(Legs.with(Legs.body("x", 8), "min_tokens", "5000"), "kv_transfer_params", params);
    assertThat(Caller.complete(other, refused).statusCode()).isEqualTo(400);
  }

  @Test
  void asVllm_hybridsOfOtherBlockSizes_pairSinceVersion6() {
    for (ConnectorVersion version : List.of(ConnectorVersion.V5, ConnectorVersion.V7)) {
      VllmRelease release = new VllmRelease(version);
      SimulatedEngine prefill =
          engines.start(c ->
              c.release(release)
                  .lease(Duration.ofMillis(300))
                  .pairing(Pairing.VLLM)
                  .geometry(GeometryText.parse(window("block=16", 200))));
      SimulatedEngine decode =
          engines.start(c ->
              c.release(release)
                  .pairing(Pairing.VLLM)
                  .geometry(GeometryText.parse(window("block=32", 200))));
      String prompt = Legs.prompt(50);
      assertThat(Legs.decode(decode, prompt, 4, Legs.prefill(prefill, prompt)).statusCode())
          .isEqualTo(version == ConnectorVersion.V5 ? 500 : 200);
    }
  }

  /** vLLM up to v0.21 turns its hybrid manager off beside a connector. */
  @Test
  void groups_withoutTheHybridManager_areRefused() {
    EngineConfig.Builder config =
        EngineConfig.builder()
            .release(new VllmRelease(ConnectorVersion.V3))
            .geometry(GeometryText.parse(window("block=16", 200)));

    assertThatThrownBy(config::build).hasMessageContaining("hybrid KV-cache manager");
  }
}
