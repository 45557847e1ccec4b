package dev.millrace.config;

import static dev.millrace.config.Complaints.quote;

import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.snakeyaml.engine.v2.common.ScalarStyle;
import org.snakeyaml.engine.v2.nodes.MappingNode;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.nodes.NodeTuple;
import org.snakeyaml.engine.v2.nodes.ScalarNode;
import org.snakeyaml.engine.v2.nodes.SequenceNode;
import org.snakeyaml.engine.v2.nodes.Tag;

/**
 * Puts the environment's variables into the values of a file.
 *
 * <p>In a value {@code ${NAME}} stands for a variable and {@code ${NAME:-otherwise}} for one that
 * may be missing or empty; {@code $$} stands for one dollar sign, and one before anything else for
 * itself. Keys have no variables. What a variable says becomes part of a value, never of the file's
 * structure: the text is read as YAML before.
 */
final class Variables {
  /** Marks a value of which it is not known what it says, and about which enough is said. */
  static final Tag UNKNOWN = new Tag("!unknown");

  private static final Pattern SPOT =
      Pattern.compile("\\$(\\$|\\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?}|\\{)");

  private final UnaryOperator<@Nullable String> environment;
  private final Complaints complaints;

  /** What became of each node, which several aliases may share. */
  private final IdentityHashMap<Node, Node> filled = new IdentityHashMap<>();

  /**
   * Variables for one file.
   *
   * @param environment gives a variable's value by its name, or null
   */
  Variables(UnaryOperator<@Nullable String> environment, Complaints complaints) {
    this.environment = environment;
    this.complaints = complaints;
  }

  /** The same tree with variables' values in it; complains of those that have none. */
  Node in(Node root) {
    return fill(root, "");
  }

  private Node fill(Node node, String path) {
    Node known = filled.get(node);
    if (known != null) {
      return known;
    }
    Node result =
        switch (node) {
          case ScalarNode scalar -> scalar(scalar, path);
          case SequenceNode sequence -> sequence(sequence, path);
          case MappingNode mapping -> mapping(mapping, path);
          default -> node;
        };
    filled.put(node, result);
    return result;
  }

  private Node sequence(SequenceNode list, String path) {
    List<Node> items = new ArrayList<>();
    for (Node item : list.getValue()) {
      items.add(fill(item, "%s[%d]".formatted(path, items.size())));
    }
    return new SequenceNode(
        list.getTag(), true, items, list.getFlowStyle(), list.getStartMark(), list.getEndMark());
  }

  private Node mapping(MappingNode mapping, String path) {
    List<NodeTuple> entries = new ArrayList<>();
    for (NodeTuple entry : mapping.getValue()) {
      String step = entry.getKeyNode() instanceof ScalarNode name ? name.getValue() : "";
      entries.add(
          new NodeTuple(entry.getKeyNode(), fill(entry.getValueNode(), Section.path(path, step))));
    }
    return new MappingNode(
        mapping.getTag(),
        true,
        entries,
        mapping.getFlowStyle(),
        mapping.getStartMark(),
        mapping.getEndMark());
  }

  private Node scalar(ScalarNode scalar, String path) {
    Matcher spots = SPOT.matcher(scalar.getValue());
    if (!spots.find()) {
      return scalar;
    }
    StringBuilder text = new StringBuilder();
    do {
      Optional<String> value = value(spots, scalar, path);
      if (value.isEmpty()) {
        return with(UNKNOWN, scalar.getValue(), scalar);
      }
      spots.appendReplacement(text, Matcher.quoteReplacement(value.get()));
    } while (spots.find());
    return with(Tag.STR, spots.appendTail(text).toString(), scalar);
  }

  private static Node with(Tag tag, String text, ScalarNode scalar) {
    return new ScalarNode(
        tag, true, text, ScalarStyle.DOUBLE_QUOTED, scalar.getStartMark(), scalar.getEndMark());
  }

  private Optional<String> value(Matcher spot, ScalarNode scalar, String path) {
    if (spot.group(1).equals("$")) {
      return Optional.of("$");
    }
    String name = spot.group(2);
    if (name == null) {
      complaints.add(
          scalar,
          path,
          "%s: write ${NAME} or ${NAME:-otherwise} for a variable of the environment, $${ for the characters themselves"
              .formatted(quote(scalar.getValue())));
      return Optional.empty();
    }
    String value = environment.apply(name);
    if (value != null && !value.isEmpty()) {
      return Optional.of(value);
    }
    String otherwise = spot.group(3);
    if (otherwise == null) {
      complaints.add(
          scalar,
          path,
          "%s: the environment has no %s; set it, or write ${%s:-otherwise}"
              .formatted(quote(scalar.getValue()), name, name));
    }
    return Optional.ofNullable(otherwise);
  }
}
