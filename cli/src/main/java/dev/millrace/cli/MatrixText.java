package dev.millrace.cli;

import dev.millrace.layout.compatibility.Architecture;
import dev.millrace.layout.compatibility.ConnectorRelease;
import dev.millrace.layout.compatibility.matrix.Capability;
import dev.millrace.layout.compatibility.matrix.Guide;
import dev.millrace.layout.compatibility.matrix.Mark;
import dev.millrace.layout.compatibility.matrix.Matrix;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;

/** A {@link Matrix} for a terminal: the table, then what its marks and numbers mean. */
final class MatrixText {
  private static final int WIDTH = 100;

  private final Matrix matrix;
  private final StringBuilder text = new StringBuilder();

  private MatrixText(Matrix matrix) {
    this.matrix = matrix;
  }

  static String of(Matrix matrix) {
    MatrixText written = new MatrixText(matrix);
    written.title();
    written.table();
    written.legend();
    written.notes();
    for (Guide guide : Guide.values()) {
      written.list(guide);
    }
    return written.text.toString();
  }

  private void title() {
    List<String> releases = new ConnectorRelease(matrix.connectorVersion()).vllmReleases();
    String vllm = releases.isEmpty() ? "" : " (vLLM " + String.join(", ", releases) + ")";
    text.append("vLLM's NIXL connector, version ")
        .append(matrix.connectorVersion())
        .append(vllm)
        .append("\n\n");
  }

  private void table() {
    List<List<String>> rows = new ArrayList<>();
    rows.add(headings(0));
    rows.add(headings(1));
    for (Architecture architecture : Architecture.values()) {
      List<String> row = new ArrayList<>(List.of(Matrix.title(architecture)));
      for (Capability capability : Capability.values()) {
        row.add(matrix.cell(architecture, capability).toString());
      }
      rows.add(row);
    }
    int[] widths = new int[rows.getFirst().size()];
    for (List<String> row : rows) {
      for (int column = 0; column < widths.length; column++) {
        widths[column] = Math.max(widths[column], row.get(column).length());
      }
    }
    for (List<String> row : rows) {
      StringBuilder line = new StringBuilder();
      for (int column = 0; column < widths.length; column++) {
        String cell = row.get(column);
        line.append(cell).append(" ".repeat(widths[column] - cell.length() + 2));
      }
      text.append(line.toString().stripTrailing()).append('\n');
    }
    text.append('\n');
  }

  /** Headings take two lines: the last word of each is on the lower one. */
  private static List<String> headings(int line) {
    List<String> headings = new ArrayList<>(List.of(line == 0 ? "" : "architecture"));
    for (Capability capability : Capability.values()) {
      String title = capability.toString();
      int space = title.lastIndexOf(' ');
      String upper = space < 0 ? "" : title.substring(0, space);
      headings.add(line == 0 ? upper : title.substring(space + 1));
    }
    return headings;
  }

  private void legend() {
    paragraph(
        "",
        Arrays.stream(Mark.values())
            .map(mark -> mark + " = " + mark.meaning())
            .collect(Collectors.joining(" · ")));
    paragraph(
        "",
        "+b, +r = where engines refuse each other here, an agent pairs them as bridge (it describes"
            + " the prefill engine's memory in the decode engine's terms) or relay (it carries the"
            + " blocks over), if both keep the same thing");
    text.append('\n');
  }

  private void notes() {
    matrix.notes().forEach((number, note) -> paragraph(number + "  ", note));
  }

  private void list(Guide guide) {
    text.append('\n').append(guide.title()).append(":\n");
    guide.lines(matrix.connectorVersion()).forEach(line -> paragraph("  - ", line));
  }

  /** Text in lines of a terminal's width, all but the first indented as far as the mark is wide. */
  private void paragraph(String mark, String words) {
    StringBuilder line = new StringBuilder(mark);
    for (String word : words.split(" ", -1)) {
      if (line.length() > mark.length() && line.length() + word.length() + 1 > WIDTH) {
        text.append(line).append('\n');
        line = new StringBuilder(" ".repeat(mark.length()));
      }
      line.append(line.length() > mark.length() ? " " : "").append(word);
    }
    text.append(line).append('\n');
  }
}
