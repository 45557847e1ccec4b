package dev.millrace.layout.compatibility.matrix;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.layout.compatibility.Architecture;
import dev.millrace.layout.compatibility.ConnectorRelease;
import dev.millrace.layout.compatibility.Way;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class MatrixTest {
  /** vLLM's page "NixlConnector Compatibility Matrix", as of the connector version 2. */
  private static List<String> page() throws IOException {
    try (InputStream page = MatrixTest.class.getResourceAsStream("page.md")) {
      String text = new String(Objects.requireNonNull(page).readAllBytes(), StandardCharsets.UTF_8);
      return text.lines().toList();
    }
  }

  private static List<List<String>> table() throws IOException {
    return page().stream()
        .filter(line -> line.startsWith("|") && !line.startsWith("|---"))
        .map(line -> Arrays.stream(line.substring(1).split("\\|")).map(String::strip).toList())
        .toList();
  }

  @Nested
  class Floor {
    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void cells_areThoseOfThePage(int version) throws IOException {
      Matrix matrix = Matrix.of(version);
      List<List<String>> ours = new ArrayList<>();
      List<String> heading = new ArrayList<>(List.of("architecture"));
      Arrays.stream(Capability.values()).map(Capability::toString).forEach(heading::add);
      ours.add(heading);
      for (Architecture architecture : Architecture.values()) {
        List<String> row = new ArrayList<>(List.of(Matrix.title(architecture)));
        for (Capability capability : Capability.values()) {
          row.add(matrix.cell(architecture, capability).ofEngines());
        }
        ours.add(row);
      }

      assertThat(ours).isEqualTo(table());
    }

    @Test
    void footnotes_areThoseOfThePage() throws IOException {
      Map<Integer, String> ofPage = new LinkedHashMap<>();
      List<String> lines = page();
      for (int i = 0; i < lines.size(); i++) {
        if (lines.get(i).matches("\\d\\. .*")) {
          StringBuilder note = new StringBuilder(lines.get(i).substring(3));
          while (lines.get(i + 1).startsWith("   ")) {
            note.append(' ').append(lines.get(++i).strip());
          }
          ofPage.put(ofPage.size() + 1, note.toString().replace("`", ""));
        }
      }

      assertThat(Matrix.of(2).notes()).isEqualTo(ofPage).hasSize(6);
    }

    @Test
    void legend_isThatOfThePage() throws IOException {
      List<String> ours =
          Arrays.stream(Mark.values()).map(mark -> mark + " = " + mark.meaning()).toList();

      String line = page().getFirst();
      assertThat(line).startsWith("Legend: ");
      List<String> theirs = List.of(line.substring("Legend: ".length()).split(" · "));
      assertThat(theirs).hasSameSizeAs(ours);
      for (int i = 0; i < ours.size(); i++) {
        assertThat(ours.get(i)).isEqualTo(theirs.get(i));
      }
    }

    @Test
    void lists_haveEverythingThatThePageHas() throws IOException {
      String page = String.join(" ", page()).replaceAll(" +", " ");

      assertThat(
              page.substring(
                  page.indexOf("Works with every architecture: ") + 31, page.indexOf(". | arch")))
          .isEqualTo(String.join(" · ", Guide.WORKS_EVERYWHERE.lines(2)));
      assertThat(page)
          .contains(
              "(checked by the compatibility hash at handshake): "
                  + String.join("; ", Guide.MUST_MATCH.lines(2)))
          .contains("**May differ**: " + String.join(", ", Guide.MAY_DIFFER.lines(2)));
      assertThat(String.join(" ", Guide.LAYOUT.lines(2)))
          .contains("HND is the default for models other than MLA")
          .contains("NHD works, but without head splitting for unequal TP")
          .contains("{\"enable_permute_local_kv\": true}")
          .contains("not with HMA");
      assertThat(String.join(" ", Guide.QUANTISED.lines(2)))
          .contains("the same cache dtype", "static scales", "dynamic scales", "packed layouts");
    }
  }

  @Nested
  class LaterVersions {
    @ParameterizedTest
    @CsvSource({
      "2, HYBRID, UNEQUAL_TENSOR_PARALLEL, wip⁵",
      "3, HYBRID, UNEQUAL_TENSOR_PARALLEL, part⁵",
      "5, HYBRID, UNEQUAL_BLOCK_SIZE, no⁶",
      "6, HYBRID, UNEQUAL_BLOCK_SIZE, part⁶",
      "6, HYBRID, SPECULATIVE_DECODING, ?",
      "7, HYBRID, SPECULATIVE_DECODING, part⁷",
      "2, MLA, CROSS_LAYER_BLOCKS, yes²",
      "3, SPARSE_MLA, CROSS_LAYER_BLOCKS, 'yes²,⁸'",
      "8, MLA, CROSS_LAYER_BLOCKS, 'yes²,⁸'",
      "9, MLA, CROSS_LAYER_BLOCKS, yes²",
      "15, DENSE, UNEQUAL_BLOCK_SIZE, part³"
    })
    void cell_changesWithTheConnector(
        int version, Architecture architecture, Capability capability, String expected) {
      assertThat(Matrix.of(version).cell(architecture, capability).ofEngines()).isEqualTo(expected);
    }

    @Test
    void mostCells_areThoseOfTheFloor() {
      Matrix floor = Matrix.of(1);
      Matrix newest = Matrix.of(ConnectorRelease.NEWEST);
      List<String> changed = new ArrayList<>();
      for (Architecture architecture : Architecture.values()) {
        for (Capability capability : Capability.values()) {
          String before = floor.cell(architecture, capability).ofEngines();
          if (!newest.cell(architecture, capability).ofEngines().equals(before)) {
            changed.add(architecture.name() + " " + capability.name());
          }
        }
      }

      assertThat(changed)
          .containsExactly(
              "HYBRID SPECULATIVE_DECODING",
              "HYBRID UNEQUAL_TENSOR_PARALLEL",
              "HYBRID UNEQUAL_BLOCK_SIZE");
    }

    @Test
    void notes_areThoseThatCellsReferTo() {
      assertThat(Matrix.of(2).notes()).containsOnlyKeys(1, 2, 3, 4, 5, 6);
      assertThat(Matrix.of(5).notes()).containsOnlyKeys(1, 2, 3, 4, 5, 6, 8);
      assertThat(Matrix.of(8).notes()).containsOnlyKeys(1, 2, 3, 4, 5, 6, 7, 8);
      assertThat(Matrix.of(15).notes()).containsOnlyKeys(1, 2, 3, 4, 5, 6, 7);
    }

    @ParameterizedTest
    @CsvSource({
      "5, 1, same speculation", "6, 1, compatible speculation", "2, 2, or FLASHINFER backend",
      "3, 2, TRITON_ATTN", "9, 2, no longer hashed", "5, 3, non-hybrid models",
      "6, 3, it must be a divisor", "2, 5, needs P TP == D TP", "3, 5, vllm#55208",
      "5, 6, does not support", "6, 6, vllm#49612"
    })
    void notes_areWordedForTheConnector(int version, int number, String part) {
      assertThat(Matrix.of(version).notes().get(number)).contains(part);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, -1, 16})
    void of_unknownVersion_isRefused(int version) {
      assertThatThrownBy(() -> Matrix.of(version))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("connector version %d is not known; known: 1 to 15".formatted(version));
    }

    @ParameterizedTest
    @CsvSource({
      "MUST_MATCH, 2, 4", "MUST_MATCH, 3, 7", "MUST_MATCH, 6, 8", "MUST_MATCH, 8, 9",
      "MUST_MATCH, 9, 8", "MAY_DIFFER, 5, 2", "MAY_DIFFER, 6, 4", "ANSWERS_WRONG, 2, 3",
      "ANSWERS_WRONG, 3, 4", "WORKS_EVERYWHERE, 15, 8"
    })
    void lists_growAndShrink(Guide guide, int version, int size) {
      assertThat(guide.lines(version)).hasSize(size);
      assertThat(guide.title()).isNotBlank();
    }

    @Test
    void guides_haveStableNames() {
      assertThat(Guide.ANSWERS_WRONG).hasToString("answers-wrong");
    }

    @Test
    void releases_areThoseOfTheVersion() {
      assertThat(new ConnectorRelease(4).vllmReleases()).containsExactly("0.23", "0.24");
      assertThat(new ConnectorRelease(6).vllmReleases()).isEmpty();
    }
  }

  @Nested
  class Cells {
    @Test
    void agents_areInitials() {
      assertThat(new Cell(Mark.NO, List.of(6), Set.of(Way.RELAY)).ofAgents()).isEqualTo("+r");
      assertThat(new Cell(Mark.PART, List.of(), Set.of(Way.RELAY, Way.BRIDGE)).ofAgents())
          .isEqualTo("+br");
      assertThat(new Cell(Mark.PART, List.of(), Set.of()).ofAgents()).isEmpty();
    }

    @Test
    void cell_isSaidInTwoWords() {
      assertThat(new Cell(Mark.PART, List.of(3, 12), Set.of(Way.BRIDGE)))
          .hasToString("part³,¹² +b");
      assertThat(new Cell(Mark.YES, List.of(), Set.of())).hasToString("yes");
    }

    @Test
    void agents_comeWithTheConnectorsStrides() {
      assertThat(Matrix.of(8).cell(Architecture.DENSE, Capability.CROSS_LAYER_BLOCKS).agents())
          .containsExactly(Way.RELAY);
      assertThat(Matrix.of(9).cell(Architecture.DENSE, Capability.CROSS_LAYER_BLOCKS).agents())
          .containsExactlyInAnyOrder(Way.BRIDGE, Way.RELAY);
    }

    @Test
    void of_unknownMark_isRefused() {
      assertThatThrownBy(() -> Mark.of("maybe")).hasMessage("\"maybe\" is no mark");
    }
  }
}
