package dev.millrace.config;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import org.snakeyaml.engine.v2.api.Dump;
import org.snakeyaml.engine.v2.api.DumpSettings;
import org.snakeyaml.engine.v2.api.Load;
import org.snakeyaml.engine.v2.api.LoadSettings;

/** A kind of configuration with a file that has every key of it, which can be varied. */
enum Example {
  ROUTING_TABLE("everything.yaml", RoutingTableKeys.TABLE) {
    @Override
    List<Complaint> complaints(String text) {
      return switch (RoutingTables.parse("f", text)) {
        case Loaded.Valid _ -> List.of();
        case Loaded.Invalid(List<Complaint> complaints) -> complaints;
      };
    }

    @Override
    Map<String, Object> schema() {
      return RoutingTables.schema();
    }
  },
  AGENT("everything-agent.yaml", AgentKeys.AGENT) {
    @Override
    List<Complaint> complaints(String text) {
      return switch (AgentConfigs.parse(Path.of("f"), text)) {
        case LoadedAgent.Valid _ -> List.of();
        case LoadedAgent.Invalid(List<Complaint> complaints) -> complaints;
      };
    }

    @Override
    Map<String, Object> schema() {
      return AgentConfigs.schema();
    }
  },
  ACCESS_KEYS("everything-keys.yaml", KeysFileKeys.FILE) {
    @Override
    List<Complaint> complaints(String text) {
      return switch (AccessKeys.parse("f", text)) {
        case LoadedKeys.Valid _ -> List.of();
        case LoadedKeys.Invalid(List<Complaint> complaints) -> complaints;
      };
    }

    @Override
    Map<String, Object> schema() {
      return AccessKeys.schema();
    }
  };

  private final String file;
  private final List<Key> keys;
  private final Object content;

  Example(String file, List<Key> keys) {
    this.file = file;
    this.keys = keys;
    this.content = load(text());
  }

  /** What its reader says of a text; nothing of a good one. */
  abstract List<Complaint> complaints(String text);

  abstract Map<String, Object> schema();

  List<Key> keys() {
    return keys;
  }

  /**
   * A value in the file with what is described of it.
   *
   * @param path keys and indices from the root
   * @param value what may stand there
   */
  record Spot(List<Object> path, Value value) {
    @Override
    public String toString() {
      return path.isEmpty() ? "the whole" : path.toString();
    }
  }

  /** Every value in the file that is described. */
  List<Spot> spots() {
    List<Spot> spots = new ArrayList<>();
    collect(content, new Spot(List.of(), Value.Group.of(keys)), spots);
    return spots;
  }

  private static void collect(Object node, Spot spot, List<Spot> spots) {
    spots.add(spot);
    switch (spot.value()) {
      case Value.Group group ->
          group.all().forEach(key -> collectBelow(node, key.name(), key.value(), spot, spots));
      case Value.Named(_, Value each) ->
          ((Map<?, ?>) node).keySet().forEach(key -> collectBelow(node, key, each, spot, spots));
      case Value.ListOf(Value each, _) ->
          IntStream.range(0, ((List<?>) node).size())
              .forEach(i -> collectBelow(node, i, each, spot, spots));
      case Value.Word _,
          Value.Form _,
          Value.Whole _,
          Value.Choice _,
          Value.Flag _,
          Value.Foreign _ -> {}
    }
  }

  private static void collectBelow(
      Object node, Object step, Value value, Spot above, List<Spot> spots) {
    Optional<Object> child =
        step instanceof Integer i
            ? Optional.of(((List<?>) node).get(i))
            : Optional.ofNullable(((Map<?, ?>) node).get(step));
    List<Object> path = new ArrayList<>(above.path());
    path.add(step);
    child.ifPresent(found -> collect(found, new Spot(List.copyOf(path), value), spots));
  }

  static Object load(String yaml) {
    return new Load(LoadSettings.builder().build()).loadFromString(yaml);
  }

  String text() {
    try {
      return Files.readString(Path.of("src/test/resources", file));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The file with another value at a spot. */
  Object with(Spot spot, UnaryOperator<Object> change) {
    return changed(content, spot.path(), change);
  }

  private static Object changed(Object node, List<Object> path, UnaryOperator<Object> change) {
    if (path.isEmpty()) {
      return change.apply(node);
    }
    List<Object> rest = path.subList(1, path.size());
    if (path.getFirst() instanceof Integer i) {
      List<Object> list = new ArrayList<>((List<?>) node);
      list.set(i, changed(list.get(i), rest, change));
      return list;
    }
    Map<Object, Object> map = new LinkedHashMap<>((Map<?, ?>) node);
    map.put(
        path.getFirst(), changed(Objects.requireNonNull(map.get(path.getFirst())), rest, change));
    return map;
  }

  static String yaml(Object content) {
    return new Dump(DumpSettings.builder().build()).dumpToString(content);
  }
}
