package dev.millrace.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

/** Whatever the file holds, the answer is a table or complaints that point into the file. */
class HostileYamlTest {
  private static final String EXAMPLE = example();

  @Property(tries = 1_000)
  void parse_garbage_isAnswered(@ForAll("garbage") String text) {
    assertAnswered(text);
  }

  @Property(tries = 2_000)
  void parse_mutatedTable_isAnswered(@ForAll("mutated") String text) {
    assertAnswered(text);
  }

  private static void assertAnswered(String text) {
    switch (RoutingTables.parse("f", text)) {
      case Loaded.Valid(RoutingTable table) -> assertThat(table.routes()).isNotEmpty();
      case Loaded.Invalid(List<Complaint> complaints) -> {
        long lines = text.chars().filter(c -> "\n\r\u0085\u2028\u2029".indexOf(c) >= 0).count() + 1;
        assertThat(complaints).isNotEmpty();
        assertThat(complaints)
            .allSatisfy(complaint -> {
              assertThat((long) complaint.line()).isBetween(1L, lines + 1);
              assertThat(complaint.column()).isBetween(1, text.length() + 2);
              assertThat(complaint.message()).isNotBlank().doesNotContain("\n");
            });
      }
    }
  }

  @Provide
  Arbitrary<String> garbage() {
    Arbitrary<String> tokens = tokens().list().ofMaxSize(60).map(parts -> String.join("", parts));
    return Arbitraries.oneOf(Arbitraries.strings().ofMaxLength(300), tokens);
  }

  /**
   * The example with a few pieces cut out, doubled, or replaced by something that means much in
   * YAML.
   */
  @Provide
  Arbitrary<String> mutated() {
    Arbitrary<Mutation> mutation =
        Combinators.combine(
                Arbitraries.integers().between(0, EXAMPLE.length()),
                Arbitraries.integers().between(0, 12),
                Arbitraries.oneOf(tokens(), Arbitraries.strings().ofMaxLength(3)))
            .as(Mutation::new);
    return mutation.list().ofMinSize(1).ofMaxSize(5).map(HostileYamlTest::mutate);
  }

  private record Mutation(int at, int removed, String inserted) {}

  private static String mutate(List<Mutation> mutations) {
    String text = EXAMPLE;
    for (Mutation mutation : mutations) {
      int at = Math.min(mutation.at(), text.length());
      int end = Math.min(at + mutation.removed(), text.length());
      text = text.substring(0, at) + mutation.inserted() + text.substring(end);
    }
    return text;
  }

  private static Arbitrary<String> tokens() {
    return Arbitraries.of(
        ":",
        ": ",
        "- ",
        "\n",
        "\n  ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "&a ",
        "*a ",
        "*a",
        "!!int ",
        "!x ",
        "!<",
        "%YAML 9.9\n",
        "%TAG ! !\n",
        "---\n",
        "...\n",
        "|\n",
        ">-\n",
        "\"",
        "'",
        "\\",
        "\\x",
        "\\U",
        "#",
        "? ",
        "<<: ",
        "@",
        "`",
        "\t",
        "~",
        "null",
        "0x",
        "1e999",
        "routes",
        "pools",
        "match",
        "model",
        "workers",
        "url",
        "http://",
        "\uD800",
        "\u0000",
        "\u2028",
        "\r",
        "\uFEFF");
  }

  private static String example() {
    try {
      return Files.readString(Path.of("src/test/resources/routes.yaml"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
