package dev.millrace.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.CharRange;
import net.jqwik.api.constraints.Chars;
import net.jqwik.api.constraints.StringLength;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ModelPatternTest {
  /** A regular expression that means the same. */
  private static boolean byExpression(String pattern, String name) {
    String expression =
        pattern
            .chars()
            .mapToObj(each ->
                switch (each) {
                  case '*' -> ".*";
                  case '?' -> ".";
                  default -> Pattern.quote(Character.toString(each));
                })
            .collect(Collectors.joining());
    return Pattern.compile(expression, Pattern.DOTALL).matcher(name).matches();
  }

  @Property(tries = 20_000)
  void matches_whatARegularExpressionDoes(
      @ForAll @Chars({'a', 'b', '*', '?'}) @StringLength(min = 1, max = 8) String pattern,
      @ForAll @CharRange(from = 'a', to = 'b') @StringLength(max = 10) String name) {
    assertThat(new ModelPattern(pattern).matches(name)).isEqualTo(byExpression(pattern, name));
  }

  @ParameterizedTest
  @ValueSource(strings = {"llama.*", "[a-z]+", "llama{1}", "l|m", "\\w*", "^llama$"})
  void nothingElse_isSpecial(String pattern) {
    assertThat(new ModelPattern(pattern).matches("llama")).isFalse();
    assertThat(new ModelPattern(pattern).matches(pattern)).isTrue();
  }

  @Test
  void nameThatIsNone_looksLikeNoPattern() {
    String hostile = "a".repeat(1 << 20);

    assertThat(new ModelPattern("*").matches(hostile)).isFalse();
    assertThat(new ModelPattern("*").matches("a".repeat(512))).isTrue();
  }

  @Test
  void mostSpecific_comesFirst() {
    List<String> order =
        List.of("llama-70b-it", "llama-70b-*", "llama-*-it", "llama-??", "llama-*", "*-70b", "*");

    assertThat(
            Stream.of(order)
                .flatMap(all -> all.reversed().stream())
                .map(ModelPattern::new)
                .sorted(ModelPattern.MOST_SPECIFIC_FIRST)
                .map(ModelPattern::text))
        .containsExactlyElementsOf(order);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", " "})
  void patternOfNothing_isRefused(String pattern) {
    assertThatThrownBy(() -> new ModelPattern(pattern)).hasMessageContaining("is no pattern");
  }
}
