package dev.millrace.layout;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.CompatibilityHash.Difference;
import dev.millrace.layout.CompatibilityHash.Speculation;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;

class CompatibilityHashTest {
  private static final Speculation EAGLE =
      new Speculation("eagle3", "org/draft", null, null, false, "auto", List.of(2, 14, 25));

  private static CompatibilityHash qwen(
      int connector, String vllm, @Nullable Speculation speculation) {
    return new CompatibilityHash(
        vllm,
        connector,
        "Qwen/Qwen3-0.6B",
        "torch.bfloat16",
        8,
        128,
        28,
        "FLASH_ATTN",
        "auto",
        false,
        true,
        speculation,
        "pull");
  }

  private static CompatibilityHash tiny(String model, String dtype) {
    return new CompatibilityHash(
        "0.32.0", 14, model, dtype, 4, 32, 4, "CPU_ATTN", "auto", false, true, null, "pull");
  }

  /** Computed with CPython's json and hashlib. */
  @Nested
  class Computed {
    @Test
    void hex_ofConnector4_hasElevenFactors() {
      assertThat(qwen(4, "0.24.0", null).json())
          .isEqualTo(
              "{\"attn_backend_name\": \"FLASH_ATTN\", \"cache_dtype\": \"auto\","
                  + " \"cross_layers_blocks\": false, \"dtype\": \"torch.bfloat16\","
                  + " \"head_size\": 128, \"is_hma_enabled\": true,"
                  + " \"model\": \"Qwen/Qwen3-0.6B\", \"nixl_connector_version\": 4,"
                  + " \"num_hidden_layers\": 28, \"num_kv_heads\": 8,"
                  + " \"vllm_version\": \"0.24.0\"}");
      assertThat(qwen(4, "0.24.0", null).hex())
          .isEqualTo("2c73e8a1d2078609bf8693ddb88654f747309dfc426f8b904002ab223bb543af");
    }

    @Test
    void hex_ofConnector7_hasSpeculationAndTransferMode() {
      assertThat(qwen(7, "0.28.0", null).hex())
          .isEqualTo("818f3314a8adad82f286256c842e7585c39d4d414e13c6e03a733f4ecd53deda");
    }

    @Test
    void hex_withADraftModel_hashesIt() {
      assertThat(qwen(7, "0.28.0", EAGLE).hex())
          .isEqualTo("fb4a66a23680402718d110a792ba74322540124c10443a55a0f36a4ae1dadc9a");
    }

    @Test
    void hex_ofConnector12_hasNoCrossLayerBlocks() {
      assertThat(qwen(12, "0.28.0", null).hex())
          .isEqualTo("4153039e6a2b938b9615b00766b6847fef3bf4685c2b0a999be56e4640af7561");
    }
  }

  /** Sent by real engines: vLLM 0.32.0, CPU build. */
  @Nested
  class Observed {
    @Test
    void hex_ofARealEngine_isWhatItSends() {
      assertThat(tiny("model", "torch.bfloat16").hex())
          .isEqualTo("d72ebc86d49745f5fdf1a7977e3bc0e6d28323cfa02a03e2302f08ce358a226d");
    }

    @Test
    void hex_ofARealEngineInFloat32_isWhatItSends() {
      assertThat(tiny("model", "torch.float32").hex())
          .isEqualTo("72ded4f02f7d53043b71fda1ce2ca9f7b2d1330f57b9e6ad7cd8efd564518c69");
    }

    @Test
    void hex_ofARealEngineWithTwoGroups_isWhatItSends() {
      assertThat(tiny("model-swa", "torch.bfloat16").hex())
          .isEqualTo("5da14bfd5168e13738ea1b9da283164ef25b2bda88c1ac8bb8d225090bfca138");
    }
  }

  @Nested
  class Versions {
    private static boolean has(int connector, String factor) {
      return qwen(connector, "0", null).json().contains('"' + factor + '"');
    }

    @Test
    void factors_comeAndGoWithTheConnectorVersion() {
      assertThat(has(1, "is_hma_enabled")).isFalse();
      assertThat(has(2, "is_hma_enabled")).isTrue();
      assertThat(has(5, "speculative_config")).isFalse();
      assertThat(has(6, "speculative_config")).isTrue();
      assertThat(has(6, "transfer_mode")).isFalse();
      assertThat(has(7, "transfer_mode")).isTrue();
      assertThat(has(8, "cross_layers_blocks")).isTrue();
      assertThat(has(9, "cross_layers_blocks")).isFalse();
    }
  }

  @Nested
  class Differences {
    @Test
    void differences_ofEqualEngines_areNone() {
      assertThat(tiny("model", "torch.bfloat16").differences(tiny("model", "torch.bfloat16")))
          .isEmpty();
    }

    @Test
    void differences_nameFactorAndValues() {
      assertThat(qwen(8, "0.28.0", null).differences(qwen(9, "0.28.0", EAGLE)))
          .containsExactly(
              new Difference("cross_layers_blocks", "false", "absent"),
              new Difference("nixl_connector_version", "8", "9"),
              new Difference(
                  "speculative_config",
                  "null",
                  "{\"auxiliary_layer_ids\": [2, 14, 25], \"code_revision\": null,"
                      + " \"kv_cache_dtype\": \"auto\", \"method\": \"eagle3\","
                      + " \"model\": \"org/draft\", \"parallel_drafting\": false,"
                      + " \"revision\": null}"));
    }
  }

  @Nested
  class Json {
    @Test
    void dumps_escapesAsPythonDoes() {
      assertThat(PythonJson.dumps("a\"\\\n\r\t\b\f\u0001 ~\u007f\u00e9\ud83d\ude00/"))
          .isEqualTo("\"a\\\"\\\\\\n\\r\\t\\b\\f\\u0001 ~\\u007f\\u00e9\\ud83d\\ude00/\"");
    }

    @Test
    void dumps_sortsKeysAndSeparatesAsPythonDoes() {
      Map<String, @Nullable Object> map = new TreeMap<>(java.util.Comparator.reverseOrder());
      map.put("a", null);
      map.put("b", Arrays.asList(1, true, "x"));
      map.put("c", Map.of());
      map.put("d", List.of());
      assertThat(PythonJson.dumps(map))
          .isEqualTo("{\"a\": null, \"b\": [1, true, \"x\"], \"c\": {}, \"d\": []}");
    }
  }
}
