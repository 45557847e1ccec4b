package dev.millrace.layout.compatibility;

import static dev.millrace.layout.compatibility.TestEngines.WHERE;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/**
 * A MultiConnector on one side only (ai-dynamo/dynamo#10027, vLLM 0.19.0): the flag for cross-layer
 * blocks is set on both sides, and takes effect on one.
 */
class SeedPairTest {
  private static final Map<String, Object> NIXL =
      Map.of(
          "kv_connector",
          "NixlConnector",
          "kv_role",
          "kv_both",
          "kv_connector_extra_config",
          Map.of("enable_cross_layers_blocks", true));

  private static final Map<String, Object> PD =
      Map.of(
          "kv_connector",
          "PdConnector",
          "kv_role",
          "kv_both",
          "kv_connector_module_path",
          "kvbm.vllm_integration.connector",
          "kv_connector_extra_config",
          Map.of(
              "connectors",
              List.of(
                  Map.of(
                      "kv_connector",
                      "DynamoConnector",
                      "kv_role",
                      "kv_both",
                      "kv_connector_module_path",
                      "kvbm.vllm_integration.connector"),
                  NIXL)));

  private static EngineProfile engine(String name, Map<String, Object> connector, String version) {
    return TestEngines.dense(name)
        .declare(Fact.VLLM_VERSION, version, WHERE)
        .declare(Fact.CONNECTOR, ConnectorConfig.of(connector), name + " kv-transfer-config")
        .build();
  }

  private static EngineProfile prefill() {
    return engine("P", PD, "0.19.0");
  }

  private static EngineProfile decode() {
    return engine("D", NIXL, "0.19.0");
  }

  @Test
  void effectiveLayout_isDerivedFromTheConfigurations() {
    assertThat(prefill().value(Fact.CROSS_LAYER_BLOCKS)).contains(false);
    assertThat(decode().value(Fact.CROSS_LAYER_BLOCKS)).contains(true);
  }

  @Test
  void engine_isRefused_andTheChildThatDisablesItIsNamed() {
    Verdict verdict = Compatibility.check(prefill(), decode(), Way.ENGINE);

    assertThat(verdict).isInstanceOf(Verdict.Refused.class);
    Reason reason = ((Verdict.Refused) verdict).reasons().getFirst();
    assertThat(reason.rule()).isEqualTo(Rule.CROSS_LAYER_BLOCKS);
    assertThat(reason.prefill())
        .isEqualTo(
            "a block per layer, because DynamoConnector (connectors[0]) inherits the base class's"
                + " prefer_cross_layer_blocks=False");
    assertThat(reason.decode()).isEqualTo("all layers in one block");
    assertThat(reason.source()).contains("compute_nixl_compatibility_hash");
    assertThat(reason.remedy())
        .isEqualTo(
            "leave enable_cross_layers_blocks off on both sides; or make it take effect on both:"
                + " replace DynamoConnector by a connector that prefers cross-layer blocks");
    assertThat(((Verdict.Refused) verdict).reasons()).hasSize(1);
  }

  @Test
  void auto_fallsBackToRelay() {
    Choice choice = Compatibility.choose(prefill(), decode(), List.of(Way.values()));

    assertThat(choice).isInstanceOf(Choice.Use.class);
    Choice.Use use = (Choice.Use) choice;
    assertThat(use.chosen().way()).isEqualTo(Way.RELAY);
    assertThat(use.before()).extracting(Judgement::way).containsExactly(Way.ENGINE, Way.BRIDGE);
    assertThat(use.chosen().traffic()).isEqualTo(Judgement.Traffic.AFTER_CANARY);
  }

  @Test
  void engine_withoutTheFlagOnBothSides_fits() {
    Map<String, Object> plain = Map.of("kv_connector", "NixlConnector");
    EngineProfile decode = engine("D", plain, "0.19.0");

    assertThat(Compatibility.check(prefill(), decode, Way.ENGINE)).isEqualTo(new Verdict.Fits());
  }
}
