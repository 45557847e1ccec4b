package dev.millrace.layout.compatibility;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Reads {@link ConnectorConfig}s, and remembers everything that is wrong with them. */
final class ConnectorConfigReader {
  private static final String EXTRA = "kv_connector_extra_config";

  private final List<String> complaints = new ArrayList<>();

  private ConnectorConfigReader() {}

  static ConnectorConfig read(Map<String, ? extends @Nullable Object> json) {
    ConnectorConfigReader reader = new ConnectorConfigReader();
    ConnectorConfig config = reader.config(json, "");
    if (!reader.complaints.isEmpty()) {
      throw new IllegalArgumentException(
          "kv-transfer-config: " + String.join("; ", reader.complaints));
    }
    return config;
  }

  private ConnectorConfig config(Map<?, ?> json, String path) {
    Optional<String> connector = text(json, path, "kv_connector");
    if (connector.isEmpty()) {
      complaints.add(path + "kv_connector is missing");
    }
    Map<String, @Nullable Object> extra = extra(json, path);
    return new ConnectorConfig(
        connector.orElse(""),
        text(json, path, "kv_role"),
        text(json, path, "kv_connector_module_path"),
        text(json, path, "engine_id"),
        text(json, path, "kv_buffer_device"),
        text(json, path, "kv_load_failure_policy"),
        flag(json, path, "enable_permute_local_kv"),
        extra,
        children(extra, path + EXTRA + "."));
  }

  private Map<String, @Nullable Object> extra(Map<?, ?> json, String path) {
    Map<String, @Nullable Object> extra = new LinkedHashMap<>();
    Object value = json.get(EXTRA);
    if (value instanceof Map<?, ?> map) {
      map.forEach((key, each) -> extra.put(String.valueOf(key), each));
    } else if (value != null) {
      complaints.add("%s%s is %s, must be an object".formatted(path, EXTRA, value));
    }
    return extra;
  }

  private List<ConnectorConfig> children(Map<String, @Nullable Object> extra, String path) {
    Object value = extra.get(ConnectorConfig.CHILDREN);
    List<ConnectorConfig> children = new ArrayList<>();
    if (value instanceof List<?> list) {
      for (int i = 0; i < list.size(); i++) {
        String own = "%s%s[%d]".formatted(path, ConnectorConfig.CHILDREN, i);
        if (list.get(i) instanceof Map<?, ?> child) {
          children.add(config(child, own + "."));
        } else {
          complaints.add("%s is %s, must be an object".formatted(own, list.get(i)));
        }
      }
    } else if (value != null) {
      complaints.add("%s%s is %s, must be a list".formatted(path, ConnectorConfig.CHILDREN, value));
    }
    return children;
  }

  private Optional<String> text(Map<?, ?> json, String path, String key) {
    Object value = json.get(key);
    if (value == null) {
      return Optional.empty();
    }
    if (value instanceof String text) {
      return Optional.of(text);
    }
    complaints.add("%s%s is %s, must be a string".formatted(path, key, value));
    return Optional.empty();
  }

  private boolean flag(Map<?, ?> json, String path, String key) {
    Object value = json.get(key);
    if (value == null) {
      return false;
    }
    Optional<Boolean> flag = PythonValue.coerced(value);
    if (flag.isEmpty()) {
      complaints.add("%s%s is %s, must be true or false".formatted(path, key, value));
    }
    return flag.orElse(false);
  }
}
