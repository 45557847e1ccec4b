package dev.millrace.layout.compatibility.matrix;

import dev.millrace.layout.compatibility.Way;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

/**
 * A cell of the matrix.
 *
 * @param mark what engines do by themselves
 * @param notes numbers of the footnotes, ascending
 * @param agents by which ways an agent pairs engines that do not pair by themselves here
 */
public record Cell(Mark mark, List<Integer> notes, Set<Way> agents) {
  private static final String SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

  public Cell {
    notes = List.copyOf(notes);
    agents = Set.copyOf(agents);
  }

  /** Mark and footnotes as one word, such as {@code part³}; two of them with a comma between. */
  public String ofEngines() {
    return mark + notes.stream().map(Cell::superscript).collect(Collectors.joining(","));
  }

  /** What agents add, as one word: {@code +b}, {@code +r}, {@code +br}, or nothing. */
  public String ofAgents() {
    String initials =
        new TreeSet<>(agents)
            .stream().map(way -> way.toString().substring(0, 1)).collect(Collectors.joining());
    return initials.isEmpty() ? "" : "+" + initials;
  }

  /** All of it. */
  @Override
  public String toString() {
    return (ofEngines() + " " + ofAgents()).strip();
  }

  private static String superscript(int number) {
    return Integer.toString(number)
        .chars()
        .mapToObj(digit -> SUPERSCRIPTS.substring(digit - '0', digit - '0' + 1))
        .collect(Collectors.joining());
  }
}
