package dev.millrace.config;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.snakeyaml.engine.v2.nodes.MappingNode;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.nodes.NodeTuple;
import org.snakeyaml.engine.v2.nodes.ScalarNode;
import org.snakeyaml.engine.v2.nodes.SequenceNode;
import org.snakeyaml.engine.v2.nodes.Tag;

/** YAML nodes as the values that JSON has: maps, lists, strings, numbers, booleans and null. */
final class JsonValues {
  private JsonValues() {}

  static Map<String, @Nullable Object> object(Node mapping) {
    Map<String, @Nullable Object> object = new LinkedHashMap<>();
    for (NodeTuple entry : ((MappingNode) mapping).getValue()) {
      if (entry.getKeyNode() instanceof ScalarNode key) {
        object.put(key.getValue(), value(entry.getValueNode()));
      }
    }
    return object;
  }

  private static @Nullable Object value(Node node) {
    return switch (node) {
      case MappingNode mapping -> object(mapping);
      case SequenceNode sequence -> {
        List<@Nullable Object> list = new ArrayList<>();
        sequence.getValue().forEach(item -> list.add(value(item)));
        yield list;
      }
      case ScalarNode scalar -> scalar(scalar);
      default -> throw new IllegalStateException("aliases are resolved when a tree is composed");
    };
  }

  private static @Nullable Object scalar(ScalarNode scalar) {
    String text = scalar.getValue();
    Tag tag = scalar.getTag();
    if (tag.equals(Tag.NULL)) {
      return null;
    }
    if (tag.equals(Tag.BOOL)) {
      return text.equalsIgnoreCase("true");
    }
    if (tag.equals(Tag.INT) || tag.equals(Tag.FLOAT)) {
      try {
        return tag.equals(Tag.INT) ? (Object) Long.valueOf(text) : Double.valueOf(text);
      } catch (NumberFormatException e) {
        return text;
      }
    }
    return text;
  }
}
