package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.compatibility.Architecture;
import dev.millrace.layout.compatibility.matrix.Capability;
import dev.millrace.layout.compatibility.matrix.Guide;
import dev.millrace.layout.compatibility.matrix.Mark;
import dev.millrace.layout.compatibility.matrix.Matrix;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MatrixCommandTest {
  private static List<String> print(String... more) {
    List<String> arguments = new ArrayList<>(List.of("matrix"));
    arguments.addAll(Arrays.asList(more));
    return CommandLineRun.of(arguments.toArray(String[]::new)).assertDone().out().lines().toList();
  }

  /** Where each column of a printed table begins, by its lower heading. */
  private static List<Integer> columns(List<String> lines) {
    String headings = heading(lines);
    List<Integer> columns = new ArrayList<>();
    for (int i = 0; i < headings.length(); i++) {
      boolean begins = headings.charAt(i) != ' ' && (i == 0 || headings.charAt(i - 1) == ' ');
      if (begins) {
        columns.add(i);
      }
    }
    return columns;
  }

  private static String heading(List<String> lines) {
    return lines.stream().filter(line -> line.startsWith("architecture")).findFirst().orElseThrow();
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 8, 9, 14, 15})
  void matrix_printsEveryCellUnderItsHeading(int version) {
    List<String> lines = print("--connector-version", Integer.toString(version));
    List<Integer> columns = columns(lines);
    Matrix matrix = Matrix.of(version);

    assertThat(columns).hasSize(1 + Capability.values().length);
    int row = lines.indexOf(heading(lines));
    for (Architecture architecture : Architecture.values()) {
      String line = lines.get(++row);
      assertThat(cell(line, columns, 0)).isEqualTo(Matrix.title(architecture));
      int column = 0;
      for (Capability capability : Capability.values()) {
        assertThat(cell(line, columns, ++column))
            .as("%s, %s", architecture, capability)
            .isEqualTo(matrix.cell(architecture, capability).toString());
      }
    }
  }

  private static String cell(String line, List<Integer> columns, int column) {
    int from = Math.min(line.length(), columns.get(column));
    int to = column + 1 < columns.size() ? columns.get(column + 1) : line.length();
    return line.substring(from, Math.min(line.length(), to)).strip();
  }

  @Test
  void matrix_ofTheFloor_isAsThePageHasIt() {
    assertThat(print("--connector-version", "2"))
        .startsWith("vLLM's NIXL connector, version 2 (vLLM 0.19)", "")
        .anySatisfy(line ->
            assertThat(line)
                .matches("Hybrid SSM / Mamba +yes +\\? +wip⁵ \\+r +no +yes +yes +no⁶ \\+r"))
        .anySatisfy(line -> assertThat(line).matches("Encoder-decoder( +no){7}"));
  }

  @Test
  void matrix_explainsMarksNotesAndLists() {
    List<String> lines = print();
    String all = String.join(" ", lines).replaceAll(" +", " ");
    Matrix matrix = Matrix.of(15);

    for (Mark mark : Mark.values()) {
      assertThat(all).contains(mark + " = " + mark.meaning());
    }
    assertThat(all).contains("+b, +r = ");
    matrix.notes().forEach((number, text) -> assertThat(all).contains(number + " " + text));
    for (Guide guide : Guide.values()) {
      assertThat(lines).contains(guide.title() + ":");
      guide.lines(15).forEach(line -> assertThat(all).contains("- " + line));
    }
  }

  @Test
  void matrix_withoutAVersion_isTheNewest() {
    assertThat(print()).isEqualTo(print("--connector-version", "15"));
    assertThat(print().getFirst()).isEqualTo("vLLM's NIXL connector, version 15 (vLLM 0.33)");
  }

  @Test
  void matrix_ofAVersionBetweenReleases_namesNone() {
    assertThat(print("--connector-version", "6").getFirst())
        .isEqualTo("vLLM's NIXL connector, version 6");
  }

  @Test
  void matrix_fitsATerminal() {
    assertThat(print()).allSatisfy(line -> assertThat(line.length()).isLessThanOrEqualTo(100));
  }

  @Test
  void matrix_asJson_hasTheSame() {
    String out =
        CommandLineRun.of("matrix", "--json", "--connector-version", "14").assertDone().out();
    JsonObject json = new JsonObject(out);
    Matrix matrix = Matrix.of(14);

    assertThat(json.getInteger("connector_version")).isEqualTo(14);
    assertThat(json.getJsonArray("vllm_releases")).isEqualTo(new JsonArray(List.of("0.32")));
    int row = 0;
    for (Architecture architecture : Architecture.values()) {
      JsonObject printed = json.getJsonArray("architectures").getJsonObject(row++);
      assertThat(printed.getString("architecture")).isEqualTo(Matrix.title(architecture));
      for (Capability capability : Capability.values()) {
        JsonObject cell = printed.getJsonObject("cells").getJsonObject(capability.toString());
        assertThat(cell.getString("mark"))
            .isEqualTo(matrix.cell(architecture, capability).mark().toString());
        assertThat(cell.getJsonArray("notes"))
            .isEqualTo(new JsonArray(matrix.cell(architecture, capability).notes()));
      }
    }
    assertThat(
            json.getJsonArray("architectures")
                .getJsonObject(0)
                .getJsonObject("cells")
                .getJsonObject("hetero block size")
                .getJsonArray("agents"))
        .isEqualTo(new JsonArray(List.of("bridge", "relay")));
    assertThat(json.getJsonObject("notes").fieldNames())
        .containsExactly("1", "2", "3", "4", "5", "6", "7");
    assertThat(json.getJsonObject("legend").getString("?")).isEqualTo("unknown, not validated");
    assertThat(json.getJsonArray("must_match"))
        .isEqualTo(new JsonArray(Guide.MUST_MATCH.lines(14)));
    assertThat(json.getJsonArray("answers_wrong"))
        .isEqualTo(new JsonArray(Guide.ANSWERS_WRONG.lines(14)));
  }

  @Test
  void matrix_ofAnUnknownVersion_isAUsageError() {
    assertThat(
            CommandLineRun.of("matrix", "--connector-version", "99")
                .assertFailed(ExitCode.USAGE)
                .err())
        .startsWith(
            "millrace: --connector-version: connector version 99 is not known; known: 1 to 15")
        .contains("Try 'millrace matrix --help'.");
  }
}
