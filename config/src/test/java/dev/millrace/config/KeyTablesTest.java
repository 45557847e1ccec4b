package dev.millrace.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The tables of keys in the documentation. */
class KeyTablesTest {
  private static final Path DOCS = Path.of("..", "docs");

  @ParameterizedTest
  @ValueSource(strings = {"configuration.md", "agent.md"})
  void page_hasTheTablesThatAreDescribed(String page) throws IOException {
    String text = Files.readString(DOCS.resolve(page));

    assertThat(text)
        .as(
            "docs/%s is out of step with the described keys; from the project's root,"
                + " `./millrace config docs docs/configuration.md docs/agent.md` rewrites its tables",
            page)
        .isEqualTo(KeyTables.rewritten(text));
  }

  @Test
  void pages_haveEveryTable() throws IOException {
    String pages =
        Files.readString(DOCS.resolve("configuration.md"))
            + Files.readString(DOCS.resolve("agent.md"));

    assertThat(Pattern.compile("<!-- keys: (.*) -->").matcher(pages).results())
        .extracting(table -> table.group(1))
        .containsExactlyInAnyOrderElementsOf(KeyTables.TABLES.keySet());
  }

  /** What a mapping leaves to a table elsewhere must stand in one. */
  @Test
  void tables_haveEveryKey() {
    List<String> shown =
        KeyTables.TABLES.values().stream()
            .flatMap(keys -> withBelow(keys, Value.Group::own))
            .toList();

    assertThat(Stream.of(RoutingTableKeys.TABLE, AgentKeys.AGENT, KeysFileKeys.KEY))
        .allSatisfy(keys -> assertThat(withBelow(keys, Value.Group::all)).isSubsetOf(shown));
  }

  private static Stream<String> withBelow(
      List<Key> keys, Function<Value.Group, List<Key>> ofGroup) {
    return keys.stream()
        .flatMap(key ->
            Stream.concat(
                Stream.of(key.name() + ": " + key.meaning()),
                group(key.value()).stream()
                    .flatMap(group -> withBelow(ofGroup.apply(group), ofGroup))));
  }

  private static Optional<Value.Group> group(Value value) {
    return switch (value) {
      case Value.Group group -> Optional.of(group);
      case Value.Named(_, Value each) -> group(each);
      case Value.ListOf(Value each, _) -> group(each);
      case Value.Word _,
          Value.Form _,
          Value.Whole _,
          Value.Choice _,
          Value.Flag _,
          Value.Foreign _ ->
          Optional.empty();
    };
  }

  @Test
  void rewritten_changesTablesAlone() {
    String page = "a\n<!-- keys: admin -->\nold\n<!-- end of keys -->\nb\n";

    assertThat(KeyTables.rewritten(page))
        .startsWith("a\n<!-- keys: admin -->\n| key |")
        .contains("| `port` | 0 to 65535 | `9090` |")
        .doesNotContain("old")
        .endsWith("|\n<!-- end of keys -->\nb\n");
  }

  @Test
  void rewritten_anUnknownTable_listsTheKnown() {
    assertThatThrownBy(() -> KeyTables.rewritten("<!-- keys: x -->\n<!-- end of keys -->"))
        .hasMessageContaining("\"x\"")
        .hasMessageContaining("listen");
  }
}
