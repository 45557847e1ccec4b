package dev.millrace.config;

import static dev.millrace.config.Complaints.quote;

import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.snakeyaml.engine.v2.nodes.MappingNode;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.nodes.NodeType;
import org.snakeyaml.engine.v2.nodes.ScalarNode;
import org.snakeyaml.engine.v2.nodes.SequenceNode;
import org.snakeyaml.engine.v2.nodes.Tag;

/**
 * A value of the file and the key that led to it. Each method reads it as one type: a value, or
 * empty after it has complained; so that reading goes on and finds what else is wrong.
 *
 * @param path the key, such as {@code pools.llama-d.workers[1].url}
 * @param node the value
 * @param complaints where complaints go
 */
record Field(String path, Node node, Complaints complaints) {
  private static final Pattern WHOLE_NUMBER = Pattern.compile("[+-]?\\d{1,10}");
  static final Pattern HOST =
      Pattern.compile("[A-Za-z0-9_.%-]+|[0-9A-Fa-f:.%]*:[0-9A-Fa-f:.%]*:[0-9A-Za-z:.%]*");
  static final Pattern HOST_PORT = Pattern.compile("(?:\\[([^\\]]+)\\]|([^:\\[\\]]+)):(\\d{1,5})");
  private static final Set<Tag> PLAIN_TAGS =
      Set.of(Tag.STR, Tag.INT, Tag.FLOAT, Tag.BOOL, Tag.SEQ, Tag.MAP);

  void complain(String message) {
    complaints.add(node, path, message);
  }

  <T> Optional<T> refuse(String message) {
    complain(message);
    return Optional.empty();
  }

  /** Where it stands, as complaints say it. */
  String place() {
    Place place = Place.of(node);
    return "%s:%d:%d".formatted(complaints.file(), place.line(), place.column());
  }

  /** A mapping with text keys. */
  Optional<Section> section() {
    return node instanceof MappingNode mapping && isPlainTagged()
        ? Optional.of(Section.of(this, mapping))
        : refuseAsOther("a mapping");
  }

  /** A list of at least one item. */
  Optional<List<Field>> items() {
    Optional<List<Field>> items = itemsOrNone();
    return items.isPresent() && items.get().isEmpty()
        ? refuse("is an empty list, needs at least one item")
        : items;
  }

  /** A list, which may be empty. */
  Optional<List<Field>> itemsOrNone() {
    if (!(node instanceof SequenceNode sequence) || !isPlainTagged()) {
      return refuseAsOther("a list");
    }
    List<Field> items = new ArrayList<>();
    for (Node item : sequence.getValue()) {
      items.add(new Field("%s[%d]".formatted(path, items.size()), item, complaints));
    }
    return Optional.of(items);
  }

  /** A scalar that is not empty, whatever YAML takes it for. */
  Optional<String> text() {
    if (!(node instanceof ScalarNode scalar) || !isPlainTagged()) {
      return refuseAsOther("text");
    }
    return scalar.getValue().isBlank()
        ? refuse("is blank; give it a value or remove the key")
        : Optional.of(scalar.getValue());
  }

  /** A whole number within bounds. */
  Optional<Integer> integer(int least, int most) {
    Optional<String> text = text();
    if (text.isEmpty()) {
      return Optional.empty();
    }
    if (!WHOLE_NUMBER.matcher(text.get()).matches()) {
      return refuse(
          "%s is not a whole number from %d to %d".formatted(quote(text.get()), least, most));
    }
    long number = Long.parseLong(text.get());
    return number < least || number > most
        ? refuse("is %d, must be %d to %d".formatted(number, least, most))
        : Optional.of((int) number);
  }

  /** One of the values of an enum, by its keyword. */
  <E extends Enum<E> & Keyword> Optional<E> choice(E[] values) {
    return text().flatMap(text -> choiceOf(text, values));
  }

  private <E extends Enum<E> & Keyword> Optional<E> choiceOf(String text, E[] values) {
    for (E value : values) {
      if (value.keyword().equals(text)) {
        return Optional.of(value);
      }
    }
    List<String> known = Arrays.stream(values).map(Keyword::keyword).toList();
    return refuse(
        "%s is not %s%s".formatted(quote(text), either(known), Nearest.hint(text, known)));
  }

  private static String either(List<String> values) {
    int last = values.size() - 1;
    return last < 1
        ? String.join("", values)
        : String.join(", ", values.subList(0, last)) + " or " + values.get(last);
  }

  /** True or false. */
  Optional<Boolean> flag() {
    return text()
        .flatMap(text ->
            switch (text) {
              case "true" -> Optional.of(true);
              case "false" -> Optional.of(false);
              default -> refuse("%s is not true or false".formatted(quote(text)));
            });
  }

  /** An object as JSON has it, written in YAML or as the text that a command line takes. */
  Optional<Map<String, @Nullable Object>> object() {
    Optional<Node> mapping =
        node instanceof ScalarNode scalar && isPlainTagged()
            ? YamlText.compose(scalar.getValue(), new Complaints(""))
                .filter(MappingNode.class::isInstance)
            : Optional.of(node).filter(MappingNode.class::isInstance);
    return mapping
        .map(JsonValues::object)
        .or(() ->
            refuse(
                "%sis not an object; write it in YAML, or as JSON in single quotes"
                    .formatted(node instanceof ScalarNode s ? quote(s.getValue()) + " " : "")));
  }

  /** A time with a unit, above zero and at most a day. */
  Optional<Duration> duration() {
    Optional<String> text = text();
    if (text.isEmpty()) {
      return Optional.empty();
    }
    Optional<Duration> duration = Quantities.duration(text.get());
    if (duration.isEmpty()) {
      return refuse(
          "%s is not a time; write a whole number and ms, s, m or h, such as 60s"
              .formatted(quote(text.get())));
    }
    return Deadlines.inRange(duration.get())
        ? duration
        : refuse("%s is out of range, must be 1ms to 24h".formatted(quote(text.get())));
  }

  /** A size with a unit. */
  Optional<Long> bytes(long leastBytes, long mostBytes) {
    Optional<String> text = text();
    if (text.isEmpty()) {
      return Optional.empty();
    }
    Optional<Long> bytes = Quantities.bytes(text.get());
    if (bytes.isEmpty()) {
      return refuse(
          "%s is not a size; write a whole number and B, KiB, MiB or GiB, such as 16MiB"
              .formatted(quote(text.get())));
    }
    return bytes.get() < leastBytes || bytes.get() > mostBytes
        ? refuse(
            "%s is out of range, must be %s to %s"
                .formatted(
                    quote(text.get()), Quantities.text(leastBytes), Quantities.text(mostBytes)))
        : bytes;
  }

  /** A host name or address without a port. */
  Optional<String> host() {
    return text()
        .flatMap(text ->
            HOST.matcher(text).matches()
                ? Optional.of(text)
                : refuse(
                    "%s is not a host name or address; ports have a key of their own"
                        .formatted(quote(text))));
  }

  /** An address of the form {@code host:port}. */
  Optional<HostPort> hostPort() {
    return text().flatMap(this::hostPortOf);
  }

  private Optional<HostPort> hostPortOf(String text) {
    Matcher matcher = HOST_PORT.matcher(text);
    if (!matcher.matches()) {
      return refuse("%s is not host:port, such as 10.0.0.4:5600".formatted(quote(text)));
    }
    String host = matcher.group(1) != null ? matcher.group(1) : matcher.group(2);
    int port = Integer.parseInt(matcher.group(3));
    if (!HOST.matcher(host).matches()) {
      return refuse("%s is not host:port, such as 10.0.0.4:5600".formatted(quote(text)));
    }
    return port < 1 || port > 65535
        ? refuse("%s has port %d, must be 1 to 65535".formatted(quote(text), port))
        : Optional.of(new HostPort(host, port));
  }

  /** A worker's address. */
  Optional<URI> workerUrl() {
    return text().flatMap(this::workerUrlOf);
  }

  private Optional<URI> workerUrlOf(String text) {
    try {
      URI url = new URI(text);
      Optional<String> fault = WorkerAddress.faultOf(url);
      return fault.isPresent()
          ? refuse("%s %s".formatted(quote(Masked.text(text)), fault.get()))
          : Optional.of(url);
    } catch (URISyntaxException e) {
      return refuse("%s %s".formatted(quote(Masked.text(text)), WorkerAddress.NO_URL));
    }
  }

  /** The path of another file, which counts from the folder of this one. */
  Optional<Path> path(Path file) {
    return text()
        .flatMap(text -> {
          try {
            return Optional.of(file.resolveSibling(text));
          } catch (InvalidPathException e) {
            return refuse("%s is not a path".formatted(quote(text)));
          }
        });
  }

  private boolean isPlainTagged() {
    return PLAIN_TAGS.contains(node.getTag());
  }

  private <T> Optional<T> refuseAsOther(String expected) {
    Tag tag = node.getTag();
    if (tag.equals(Variables.UNKNOWN)) {
      return Optional.empty();
    }
    if (tag.equals(Tag.NULL)) {
      return refuse("is empty, should be %s".formatted(expected));
    }
    if (tag.equals(Tag.ENV_TAG)) {
      return refuse(
          "%s: environment variables are not substituted here; write the value"
              .formatted(quote(((ScalarNode) node).getValue())));
    }
    if (!isPlainTagged()) {
      return refuse(
          "has the tag %s, which has no meaning here; remove it".formatted(quote(tag.getValue())));
    }
    NodeType type = node.getNodeType();
    return refuse(
        switch (type) {
          case SCALAR ->
              "is %s, should be %s".formatted(quote(((ScalarNode) node).getValue()), expected);
          case SEQUENCE -> "is a list, should be " + expected;
          case MAPPING -> "is a mapping, should be " + expected;
          case ANCHOR -> "is an anchor, should be " + expected;
        });
  }
}
