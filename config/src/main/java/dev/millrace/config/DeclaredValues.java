package dev.millrace.config;

import dev.millrace.layout.GeometryText;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.compatibility.ConnectorConfig;
import dev.millrace.layout.compatibility.Fact;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** What is declared of engines in the words of a routing table: {@link DeclaredReader} reversed. */
final class DeclaredValues {
  private final Declared declared;
  private final Map<String, Object> json = new LinkedHashMap<>();

  private DeclaredValues(Declared declared) {
    this.declared = declared;
  }

  static Map<String, Object> of(Declared declared) {
    DeclaredValues values = new DeclaredValues(declared);
    values.versions();
    values.geometry();
    values.model();
    values.cache();
    values.connector();
    return values.json;
  }

  private <T> void put(String key, Fact<T> fact, Function<T, Object> written) {
    declared.value(fact).ifPresent(value -> json.put(key, written.apply(value)));
  }

  private void put(String key, Fact<? extends Object> fact) {
    declared
        .value(fact)
        .ifPresent(
            value -> json.put(key, value instanceof String text ? Masked.text(text) : value));
  }

  private void versions() {
    put("vllm-version", Fact.VLLM_VERSION);
    put("connector-version", Fact.CONNECTOR_VERSION);
    put("nixl-version", Fact.NIXL_VERSION);
    put(
        "interchangeable-versions",
        Fact.INTERCHANGEABLE_VERSIONS,
        versions -> List.copyOf(new TreeSet<>(versions)));
  }

  private void geometry() {
    List<String> parts = new ArrayList<>();
    declared.value(Fact.TENSOR_PARALLEL).ifPresent(n -> parts.add("tp=" + n));
    declared.value(Fact.PIPELINE_PARALLEL).ifPresent(n -> parts.add("pp=" + n));
    declared.value(Fact.DECODE_CONTEXT_PARALLEL).ifPresent(n -> parts.add("dcp=" + n));
    declared.value(Fact.BLOCK_SIZE).ifPresent(n -> parts.add("block=" + n));
    declared.value(Fact.LAYOUT).ifPresent(layout -> parts.add("layout=" + layout.shortName()));
    if (!parts.isEmpty()) {
      json.put("geometry", String.join(",", parts));
    }
  }

  private void model() {
    Map<String, Object> model = new LinkedHashMap<>();
    declared.value(Fact.SHAPE).ifPresent(shape -> model.putAll(shape(shape)));
    declared.value(Fact.HIDDEN_LAYERS).ifPresent(n -> model.put("hidden-layers", n));
    declared
        .value(Fact.DTYPE)
        .ifPresent(dtype -> model.put("torch-dtype", dtype.replaceFirst("^torch\\.", "")));
    declared
        .value(Fact.ARCHITECTURE)
        .ifPresent(kind -> model.put("architecture", DeclaredReader.keyword(kind)));
    declared.value(Fact.MODEL).ifPresent(name -> model.put("name", Masked.text(name)));
    declared.value(Fact.MODEL_REVISION).ifPresent(name -> model.put("revision", Masked.text(name)));
    declared.value(Fact.ROPE).ifPresent(rope -> model.put("rope", Masked.text(rope)));
    if (!model.isEmpty()) {
      json.put("model-config", model);
    }
  }

  private static Map<String, Object> shape(ModelShape shape) {
    Map<String, Object> model = new LinkedHashMap<>();
    for (String part : GeometryText.format(shape).split(",", -1)) {
      String[] said = part.split("=", 2);
      String key = said[0].equals("heads") ? "kv-heads" : said[0];
      boolean number = said[1].chars().allMatch(Character::isDigit);
      model.put(key, number ? (Object) Integer.valueOf(said[1]) : said[1]);
    }
    return model;
  }

  private void cache() {
    put("attention-backend", Fact.ATTENTION_BACKEND);
    put("cache-dtype", Fact.CACHE_DTYPE);
    put("kv-scales", Fact.KV_SCALES, DeclaredReader::keyword);
    put("kernel-block-size", Fact.KERNEL_BLOCK_SIZE);
    put("prefix-caching", Fact.PREFIX_CACHING);
    put("hybrid-kv-cache-manager", Fact.HYBRID_CACHE_MANAGER);
    put("cross-layer-blocks", Fact.CROSS_LAYER_BLOCKS);
    put("conv-state-layout", Fact.CONV_STATE_LAYOUT);
    put("speculation", Fact.SPECULATION, setup -> setup.method());
  }

  private void connector() {
    put("kv-transfer-config", Fact.CONNECTOR, DeclaredValues::connector);
    put("transfer-mode", Fact.TRANSFER_MODE, DeclaredReader::keyword);
    put("host-buffer", Fact.HOST_BUFFER);
    put("engine-id", Fact.ENGINE_ID);
    put("lease", Fact.LEASE, Quantities::text);
  }

  /** What of it bears on compatibility; the rest was not kept. */
  private static Map<String, @Nullable Object> connector(ConnectorConfig config) {
    Map<String, @Nullable Object> said = new LinkedHashMap<>();
    said.put("kv_connector", config.connector());
    config.role().ifPresent(role -> said.put("kv_role", role));
    config.modulePath().ifPresent(path -> said.put("kv_connector_module_path", path));
    config.engineId().ifPresent(id -> said.put("engine_id", id));
    config.bufferDevice().ifPresent(device -> said.put("kv_buffer_device", device));
    config.loadFailurePolicy().ifPresent(policy -> said.put("kv_load_failure_policy", policy));
    if (config.permutesLocalKv()) {
      said.put("enable_permute_local_kv", true);
    }
    if (!config.extra().isEmpty()) {
      said.put("kv_connector_extra_config", config.extra());
    }
    return Masked.foreign(said);
  }
}
