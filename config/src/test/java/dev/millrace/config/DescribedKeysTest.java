package dev.millrace.config;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Example.Spot;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** What is described of the keys is what the readers do with them. */
class DescribedKeysTest {
  /** Ends a complaint of a key that is unlike any: what the reader has asked for follows. */
  private static final String KNOWN = "is not a known key; known here: ";

  private static final String STRAY = "qqqqqqqqqqqqqqqqqqqq";

  static Stream<Arguments> mappings() {
    return Stream.of(Example.values())
        .flatMap(example ->
            example.spots().stream()
                .filter(spot -> spot.value() instanceof Value.Group)
                .map(spot -> Arguments.of(example, spot)));
  }

  @ParameterizedTest
  @MethodSource("mappings")
  void reader_asksForTheKeysThatAreDescribed(Example example, Spot mapping) {
    String text = Example.yaml(example.with(mapping, DescribedKeysTest::withStrayKey));
    List<String> described = ((Value.Group) mapping.value()).all().stream().map(Key::name).toList();

    assertThat(example.complaints(text))
        .singleElement()
        .extracting(Complaint::message)
        .asString()
        .startsWith(KNOWN)
        .satisfies(message ->
            assertThat(message.substring(KNOWN.length()).split(", "))
                .as("keys that the reader asks for, beside those described")
                .containsExactlyInAnyOrderElementsOf(described));
  }

  static Object withStrayKey(Object mapping) {
    Map<Object, Object> more = new LinkedHashMap<>((Map<?, ?>) mapping);
    more.put(STRAY, 1);
    return more;
  }

  @ParameterizedTest
  @EnumSource
  void example_isGoodAndHasEveryKey(Example example) {
    Set<List<Object>> there = new HashSet<>();
    example.spots().forEach(spot -> there.add(general(spot.path())));
    List<List<Object>> described = new ArrayList<>();
    collect(List.of(), Value.Group.of(example.keys()), described);

    assertThat(example.complaints(example.text())).isEmpty();
    assertThat(there).containsAll(described);
  }

  private static void collect(List<Object> path, Value value, List<List<Object>> paths) {
    paths.add(path);
    switch (value) {
      case Value.Group group ->
          group.all().forEach(key -> collect(below(path, key.name()), key.value(), paths));
      case Value.Named(_, Value each) -> collect(below(path, "*"), each, paths);
      case Value.ListOf(Value each, _) -> collect(below(path, "*"), each, paths);
      case Value.Word _,
          Value.Form _,
          Value.Whole _,
          Value.Choice _,
          Value.Flag _,
          Value.Foreign _ -> {}
    }
  }

  private static List<Object> below(List<Object> path, Object step) {
    List<Object> longer = new ArrayList<>(path);
    longer.add(step);
    return longer;
  }

  /** With a star for each index and each name that an operator chose. */
  private static List<Object> general(List<Object> path) {
    List<Object> general = new ArrayList<>();
    for (Object step : path) {
      boolean named =
          general.equals(List.of("pools"))
              || general.equals(List.of("models"))
              || (!general.isEmpty() && List.of("labels", "headers").contains(general.getLast()));
      general.add(step instanceof Integer || named ? "*" : step);
    }
    return general;
  }

  static Stream<Key> choices() {
    List<Key> found = new ArrayList<>();
    Stream.of(RoutingTableKeys.POOL, RoutingTableKeys.ROUTE, AgentKeys.AGENT)
        .forEach(keys -> collectChoices(keys, found));
    return found.stream();
  }

  private static void collectChoices(List<Key> keys, List<Key> found) {
    for (Key key : keys) {
      switch (key.value()) {
        case Value.Choice _ -> found.add(key);
        case Value.Group group -> collectChoices(group.own(), found);
        default -> {}
      }
    }
  }

  @ParameterizedTest
  @MethodSource("choices")
  void choice_hasEveryWordExplained(Key key) {
    assertThat(((Value.Choice) key.value()).words())
        .allSatisfy(word -> assertThat(key.meaning()).contains("`" + word + "`"));
  }
}
