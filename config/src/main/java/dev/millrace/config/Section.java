package dev.millrace.config;

import static dev.millrace.config.Complaints.quote;

import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.regex.Pattern;
import org.snakeyaml.engine.v2.nodes.MappingNode;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.nodes.NodeTuple;
import org.snakeyaml.engine.v2.nodes.ScalarNode;

/**
 * A mapping of the file. The keys that have been asked for are the known ones; {@link
 * #refuseOtherKeys} complains about the rest, so that no list of keys can go stale.
 */
final class Section {
  private static final Pattern BARE_KEY = Pattern.compile("[A-Za-z0-9_-]+");

  private final Field self;
  private final Map<String, Field> fields = new LinkedHashMap<>();
  private final Map<String, Node> keys = new LinkedHashMap<>();
  private final Set<String> known = new LinkedHashSet<>();

  private Section(Field self) {
    this.self = self;
  }

  static Section of(Field self, MappingNode mapping) {
    Section section = new Section(self);
    for (NodeTuple entry : mapping.getValue()) {
      section.add(entry);
    }
    return section;
  }

  private void add(NodeTuple entry) {
    Node key = entry.getKeyNode();
    if (!(key instanceof ScalarNode scalar)) {
      self.complaints()
          .add(key, self.path(), "has a key that is not text; write a plain word before the colon");
      return;
    }
    String name = scalar.getValue();
    Node first = keys.putIfAbsent(name, key);
    if (first == null) {
      fields.put(name, new Field(pathOf(name), entry.getValueNode(), self.complaints()));
    } else {
      self.complaints()
          .add(
              key,
              pathOf(name),
              "stands here a second time; first on line %d; keep one of them"
                  .formatted(Place.of(first).line()));
    }
  }

  /** The value of an optional key. */
  Optional<Field> find(String key) {
    known.add(key);
    return Optional.ofNullable(fields.get(key));
  }

  /**
   * The value of a key that must be there.
   *
   * @param meaning what belongs there, for the complaint
   */
  Optional<Field> require(String key, String meaning) {
    Optional<Field> found = find(key);
    if (found.isEmpty()) {
      self.complain("%s is missing: %s".formatted(quote(key), meaning));
    }
    return found;
  }

  /**
   * What an optional mapping says, whose keys are those that are asked for and no others.
   *
   * @param otherwise what holds where there is none
   */
  <T> T part(String key, T otherwise, Function<Section, T> read) {
    Optional<Section> found = find(key).flatMap(Field::section);
    if (found.isEmpty()) {
      return otherwise;
    }
    T said = read.apply(found.get());
    found.get().refuseOtherKeys();
    return said;
  }

  /** A whole number within bounds; what holds otherwise where there is none. */
  int integer(String key, int least, int most, int otherwise) {
    return find(key).flatMap(value -> value.integer(least, most)).orElse(otherwise);
  }

  /** A time; what holds otherwise where there is none. */
  Duration duration(String key, Duration otherwise) {
    return find(key).flatMap(Field::duration).orElse(otherwise);
  }

  /** Complains of the mapping as a whole. */
  <T> Optional<T> refuse(String message) {
    return self.refuse(message);
  }

  /** Where it stands. */
  String place() {
    return self.place();
  }

  /** All entries, where the operator chooses the keys. */
  Map<String, Field> entries() {
    known.addAll(fields.keySet());
    return fields;
  }

  /** Where the key itself stands, to complain about the name. */
  Node key(String name) {
    Node key = keys.get(name);
    return key == null ? self.node() : key;
  }

  /** Complains about every key that nobody asked for. */
  void refuseOtherKeys() {
    keys.forEach((name, node) -> {
      if (!known.contains(name)) {
        self.complaints().add(node, pathOf(name), "is not a known key" + helpFor(name));
      }
    });
  }

  private String helpFor(String name) {
    if (name.equals("<<")) {
      return "; YAML 1.2 has no merge keys";
    }
    String hint = Nearest.hint(name, known);
    return hint.isEmpty() ? "; known here: " + String.join(", ", known) : hint;
  }

  private String pathOf(String name) {
    return path(self.path(), name);
  }

  /** How complaints write a key of a mapping. */
  static String path(String mapping, String key) {
    String step = BARE_KEY.matcher(key).matches() ? key : quote(key);
    return mapping.isEmpty() ? step : mapping + "." + step;
  }
}
