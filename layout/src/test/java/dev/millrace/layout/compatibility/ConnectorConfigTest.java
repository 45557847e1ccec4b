package dev.millrace.layout.compatibility;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ConnectorConfigTest {
  private static final String EXTRA = "kv_connector_extra_config";

  private static ConnectorConfig nixl(String key, @Nullable Object value) {
    return ConnectorConfig.named("NixlConnector").withExtra(key, value);
  }

  private static Map<String, Object> named(String connector) {
    return Map.of("kv_connector", connector);
  }

  private static Map<String, Object> named(String connector, String key, Object value) {
    return Map.of("kv_connector", connector, EXTRA, Map.of(key, value));
  }

  private static ConnectorConfig multi(String name, List<Map<String, Object>> children) {
    return ConnectorConfig.of(Map.of("kv_connector", name, EXTRA, Map.of("connectors", children)));
  }

  @Nested
  class Reading {
    @Test
    void of_everyKey_isRead() {
      ConnectorConfig config =
          ConnectorConfig.of(
              Map.of(
                  "kv_connector",
                  "NixlConnector",
                  "kv_role",
                  "kv_producer",
                  "kv_connector_module_path",
                  "some.module",
                  "engine_id",
                  "e1",
                  "kv_buffer_device",
                  "cpu",
                  "kv_load_failure_policy",
                  "recompute",
                  "enable_permute_local_kv",
                  true,
                  "kv_port",
                  14579,
                  EXTRA,
                  Map.of("backends", List.of("UCX"))));

      assertThat(config.connector()).isEqualTo("NixlConnector");
      assertThat(config.role()).contains("kv_producer");
      assertThat(config.modulePath()).contains("some.module");
      assertThat(config.engineId()).contains("e1");
      assertThat(config.bufferDevice()).contains("cpu");
      assertThat(config.loadFailurePolicy()).contains("recompute");
      assertThat(config.permutesLocalKv()).isTrue();
      assertThat(config.extra()).containsEntry("backends", List.of("UCX"));
      assertThat(config.children()).isEmpty();
      assertThat(config).hasToString("NixlConnector");
    }

    @Test
    void of_nulls_areLikeAbsentKeys() {
      Map<String, @Nullable Object> json = new HashMap<>();
      json.put("kv_connector", "NixlConnector");
      json.put("engine_id", null);
      json.put("enable_permute_local_kv", null);
      json.put(EXTRA, null);

      assertThat(ConnectorConfig.of(json)).isEqualTo(ConnectorConfig.named("NixlConnector"));
    }

    @Test
    void of_children_areReadInOrder() {
      ConnectorConfig config =
          multi("MultiConnector", List.of(named("NixlConnector"), named("OffloadingConnector")));

      assertThat(config.children())
          .extracting(ConnectorConfig::connector)
          .containsExactly("NixlConnector", "OffloadingConnector");
      assertThat(config).hasToString("MultiConnector[NixlConnector, OffloadingConnector]");
    }

    @Test
    void of_whatCannotBe_isReportedWhole() {
      assertThatThrownBy(() ->
              ConnectorConfig.of(
                  Map.of(
                      "kv_role",
                      3,
                      "enable_permute_local_kv",
                      "perhaps",
                      EXTRA,
                      Map.of("connectors", List.of(Map.of("kv_role", "kv_both"), 7)))))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("kv-transfer-config: kv_connector is missing")
          .hasMessageContaining("kv_role is 3, must be a string")
          .hasMessageContaining("enable_permute_local_kv is perhaps, must be true or false")
          .hasMessageContaining("kv_connector_extra_config.connectors[0].kv_connector is missing")
          .hasMessageContaining("kv_connector_extra_config.connectors[1] is 7, must be an object");
    }

    @Test
    void of_extraThatIsNoObject_isRefused() {
      assertThatThrownBy(() -> ConnectorConfig.of(Map.of("kv_connector", "X", EXTRA, "y")))
          .hasMessage("kv-transfer-config: kv_connector_extra_config is y, must be an object");
    }

    @Test
    void of_childrenThatAreNoList_areRefused() {
      assertThatThrownBy(() ->
              ConnectorConfig.of(
                  Map.of("kv_connector", "X", EXTRA, Map.of("connectors", "NixlConnector"))))
          .hasMessageContaining("connectors is NixlConnector, must be a list");
    }

    @ParameterizedTest
    @CsvSource({"MultiConnector, true", "PdConnector, true", "NixlConnector, false"})
    void isComposite_byName(String name, boolean expected) {
      assertThat(ConnectorConfig.named(name).isComposite()).isEqualTo(expected);
    }

    @Test
    void isComposite_byItsChildren() {
      assertThat(multi("SomebodysConnector", List.of(named("NixlConnector"))).isComposite())
          .isTrue();
    }
  }

  @Nested
  class CrossLayerBlocks {
    @ParameterizedTest
    @ValueSource(strings = {"true", "True", "TRUE"})
    void flag_asString_isOn(String value) {
      assertThat(prefers(nixl("enable_cross_layers_blocks", value))).isTrue();
    }

    @Test
    void flag_asBoolean_isWhatItIs() {
      assertThat(prefers(nixl("enable_cross_layers_blocks", true))).isTrue();
      assertThat(prefers(nixl("enable_cross_layers_blocks", false))).isFalse();
    }

    @Test
    void flag_asNumber_isOff() {
      assertThat(prefers(nixl("enable_cross_layers_blocks", 1))).isFalse();
      assertThat(prefers(nixl("enable_cross_layers_blocks", null))).isFalse();
    }

    @Test
    void severalConnectors_mustAllPrefer() {
      Map<String, Object> on = named("NixlConnector", "enable_cross_layers_blocks", true);

      assertThat(prefers(multi("MultiConnector", List.of(on, named("OffloadingConnector")))))
          .isTrue();
      assertThat(prefers(multi("MultiConnector", List.of(on, named("Strange"))))).isFalse();
      assertThat(
              prefers(
                  multi(
                      "MultiConnector",
                      List.of(named("NixlConnector"), named("OffloadingConnector")))))
          .isFalse();
    }

    @Test
    void objections_nameEveryConnectorWithItsPlace() {
      Map<String, Object> inner =
          Map.of(
              "kv_connector",
              "MultiConnector",
              EXTRA,
              Map.of("connectors", List.of(named("Strange"), named("NixlConnector"))));

      assertThat(
              EffectiveConnector.of(multi("PdConnector", List.of(named("Other"), inner)))
                  .objections())
          .extracting(Object::toString)
          .containsExactly(
              "Other (connectors[0]) inherits the base class's prefer_cross_layer_blocks=False",
              "Strange (connectors[1].connectors[0]) inherits the base class's"
                  + " prefer_cross_layer_blocks=False",
              "NixlConnector (connectors[1].connectors[1]) does not set"
                  + " enable_cross_layers_blocks");
    }

    @Test
    void objection_ofASingleConnector_hasNoPlace() {
      assertThat(EffectiveConnector.of(ConnectorConfig.named("NixlConnector")).objections())
          .extracting(Object::toString)
          .containsExactly("NixlConnector does not set enable_cross_layers_blocks");
    }

    private static boolean prefers(ConnectorConfig config) {
      return EffectiveConnector.of(config).prefersCrossLayerBlocks();
    }
  }

  @Nested
  class OtherSettings {
    @Test
    void enforcesHash_byDefault() {
      assertThat(EffectiveConnector.of(ConnectorConfig.named("NixlConnector")).enforcesHash())
          .isTrue();
    }

    @Test
    void enforcesHash_takesTheValueAsPythonDoes() {
      assertThat(enforces(false)).isFalse();
      assertThat(enforces(null)).isFalse();
      assertThat(enforces(0)).isFalse();
      assertThat(enforces("")).isFalse();
      assertThat(enforces(List.of())).isFalse();
      assertThat(enforces(Map.of())).isFalse();
      assertThat(enforces("false")).isTrue();
      assertThat(enforces(true)).isTrue();
      assertThat(enforces(0.5)).isTrue();
      assertThat(enforces(List.of(0))).isTrue();
      assertThat(enforces(Map.of("a", 1))).isTrue();
      assertThat(enforces('x')).isTrue();
    }

    private static boolean enforces(@Nullable Object value) {
      return EffectiveConnector.of(nixl("enforce_handshake_compat", value)).enforcesHash();
    }

    @ParameterizedTest
    @CsvSource({
      "true, true",
      "True, true",
      "on, true",
      "yes, true",
      "1, true",
      "false, false",
      "off, false",
      "n, false",
      "0, false"
    })
    void permute_asString_isReadAsPydanticDoes(String value, boolean expected) {
      ConnectorConfig config =
          ConnectorConfig.of(
              Map.of("kv_connector", "NixlConnector", "enable_permute_local_kv", value));

      assertThat(EffectiveConnector.of(config).permutesLocalKv()).isEqualTo(expected);
    }

    @Test
    void permute_asNumber_isReadAsPydanticDoes() {
      assertThat(PythonValue.coerced(1.0)).contains(true);
      assertThat(PythonValue.coerced(0)).contains(false);
      assertThat(PythonValue.coerced(0.5)).isEmpty();
    }

    @Test
    void permute_isTheNixlChilds() {
      Map<String, Object> child =
          Map.of("kv_connector", "NixlConnector", "enable_permute_local_kv", true);

      assertThat(
              EffectiveConnector.of(multi("MultiConnector", List.of(named("Strange"), child)))
                  .permutesLocalKv())
          .isTrue();
      assertThat(EffectiveConnector.of(ConnectorConfig.named("Strange")).permutesLocalKv())
          .isFalse();
    }

    @ParameterizedTest
    @CsvSource({"NixlConnector, PULL", "NixlPullConnector, PULL", "NixlPushConnector, PUSH"})
    void transferMode_isThatOfTheClass(String name, TransferMode expected) {
      assertThat(EffectiveConnector.of(ConnectorConfig.named(name)).transferMode())
          .contains(expected);
    }

    @Test
    void withoutNixl_thereIsNoTransferMode() {
      EffectiveConnector effective = EffectiveConnector.of(ConnectorConfig.named("Strange"));

      assertThat(effective.nixl()).isEmpty();
      assertThat(effective.transferMode()).isEmpty();
      assertThat(effective.enforcesHash()).isTrue();
    }

    @Test
    void lease_isThirtySecondsUnlessSaid() {
      assertThat(EffectiveConnector.of(ConnectorConfig.named("NixlConnector")).lease())
          .isEqualTo(Duration.ofSeconds(30));
      assertThat(EffectiveConnector.of(nixl("kv_lease_duration", 12.5)).lease())
          .isEqualTo(Duration.ofMillis(12_500));
      assertThat(EffectiveConnector.of(nixl("kv_lease_duration", "10")).lease())
          .isEqualTo(Duration.ofSeconds(30));
    }

    @Test
    void hybridCaches_needTheConsentOfAll() {
      assertThat(hybridCaches("NixlConnector")).contains(true);
      assertThat(hybridCaches("NixlConnector", "OffloadingConnector")).contains(true);
      assertThat(hybridCaches("NixlConnector", "LMCacheConnectorV1")).contains(false);
      assertThat(hybridCaches("NixlConnector", "Strange")).isEmpty();
    }

    private static Optional<Boolean> hybridCaches(String... names) {
      List<Map<String, Object>> children =
          Arrays.stream(names).map(ConnectorConfigTest::named).toList();
      return EffectiveConnector.of(multi("MultiConnector", children)).hybridCaches();
    }
  }
}
