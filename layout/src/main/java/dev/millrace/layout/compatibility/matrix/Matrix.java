package dev.millrace.layout.compatibility.matrix;

import dev.millrace.layout.compatibility.Architecture;
import dev.millrace.layout.compatibility.ConnectorRelease;
import dev.millrace.layout.compatibility.Way;
import java.util.Collections;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * The matrix for one connector version.
 *
 * @param connectorVersion of both engines
 * @param rows a cell for every class of models and every capability
 * @param notes texts of the footnotes that cells refer to, by number
 */
public record Matrix(
    int connectorVersion,
    Map<Architecture, Map<Capability, Cell>> rows,
    Map<Integer, String> notes) {

  /** vLLM's page as of connector version 2; columns as {@link Capability}, notes behind marks. */
  private static final String FLOOR =
      """
      DENSE           | yes | yes 1 | yes    | yes 2 | yes | yes | part 3
      MLA             | yes | yes 1 | part 4 | yes 2 | yes | yes | part 3
      SPARSE_MLA      | yes | yes 1 | part 4 | yes 2 | yes | yes | part 3
      HYBRID          | yes | ?     | wip 5  | no    | yes | yes | no 6
      MOE             | yes | yes 1 | yes    | yes 2 | yes | yes | part 3
      MULTIMODAL      | ?   | ?     | ?      | ?     | ?   | ?   | ?
      ENCODER_DECODER | no  | no    | no     | no    | no  | no  | no
      """;

  /** What later connector versions do: version, class, capability, cell. */
  private static final String SINCE =
      """
      3 | HYBRID     | UNEQUAL_TENSOR_PARALLEL | part 5
      3 | MLA        | CROSS_LAYER_BLOCKS      | yes 2 8
      3 | SPARSE_MLA | CROSS_LAYER_BLOCKS      | yes 2 8
      6 | HYBRID     | UNEQUAL_BLOCK_SIZE      | part 6
      7 | HYBRID     | SPECULATIVE_DECODING    | part 7
      9 | MLA        | CROSS_LAYER_BLOCKS      | yes 2
      9 | SPARSE_MLA | CROSS_LAYER_BLOCKS      | yes 2
      """;

  /**
   * What agents add to engines that refuse each other: connector version from which on, class,
   * capability, way.
   */
  private static final String AGENTS =
      """
      1 | DENSE      | UNEQUAL_TENSOR_PARALLEL | RELAY
      1 | MLA        | UNEQUAL_TENSOR_PARALLEL | RELAY
      1 | SPARSE_MLA | UNEQUAL_TENSOR_PARALLEL | RELAY
      1 | HYBRID     | UNEQUAL_TENSOR_PARALLEL | RELAY
      1 | MOE        | UNEQUAL_TENSOR_PARALLEL | RELAY
      1 | DENSE      | CROSS_LAYER_BLOCKS      | RELAY
      9 | DENSE      | CROSS_LAYER_BLOCKS      | BRIDGE
      1 | MOE        | CROSS_LAYER_BLOCKS      | RELAY
      9 | MOE        | CROSS_LAYER_BLOCKS      | BRIDGE
      1 | DENSE      | UNEQUAL_BLOCK_SIZE      | BRIDGE
      1 | DENSE      | UNEQUAL_BLOCK_SIZE      | RELAY
      1 | MLA        | UNEQUAL_BLOCK_SIZE      | BRIDGE
      1 | MLA        | UNEQUAL_BLOCK_SIZE      | RELAY
      1 | MOE        | UNEQUAL_BLOCK_SIZE      | BRIDGE
      1 | MOE        | UNEQUAL_BLOCK_SIZE      | RELAY
      1 | HYBRID     | UNEQUAL_BLOCK_SIZE      | RELAY
      """;

  public Matrix {
    Map<Architecture, Map<Capability, Cell>> copy = new EnumMap<>(Architecture.class);
    rows.forEach((row, cells) -> copy.put(row, Collections.unmodifiableMap(new EnumMap<>(cells))));
    rows = Collections.unmodifiableMap(copy);
    notes = Collections.unmodifiableMap(new TreeMap<>(notes));
  }

  /**
   * The matrix of a connector version.
   *
   * @throws IllegalArgumentException if it is none that was read
   */
  public static Matrix of(int connectorVersion) {
    if (connectorVersion < 1 || connectorVersion > ConnectorRelease.NEWEST) {
      throw new IllegalArgumentException(
          "connector version %d is not known; known: 1 to %d"
              .formatted(connectorVersion, ConnectorRelease.NEWEST));
    }
    Map<Architecture, Map<Capability, Cell>> rows = new EnumMap<>(Architecture.class);
    fields(FLOOR).forEach(fields -> rows.put(Architecture.valueOf(fields[0]), row(fields)));
    fields(SINCE)
        .filter(fields -> Integer.parseInt(fields[0]) <= connectorVersion)
        .forEach(fields -> put(rows, fields, cell(fields[3])));
    fields(AGENTS)
        .filter(fields -> Integer.parseInt(fields[0]) <= connectorVersion)
        .forEach(fields -> put(rows, fields, withAgent(at(rows, fields), Way.valueOf(fields[3]))));
    return new Matrix(connectorVersion, rows, notes(rows, connectorVersion));
  }

  private static Stream<String[]> fields(String table) {
    return table.lines().map(line -> line.strip().split(" *\\| *"));
  }

  private static Map<Capability, Cell> row(String[] fields) {
    Map<Capability, Cell> row = new EnumMap<>(Capability.class);
    int column = 1;
    for (Capability capability : Capability.values()) {
      row.put(capability, cell(fields[column++]));
    }
    return row;
  }

  private static Cell cell(String text) {
    List<String> words = List.of(text.split(" "));
    List<Integer> notes = words.stream().skip(1).map(Integer::valueOf).toList();
    return new Cell(Mark.of(words.getFirst()), notes, Set.of());
  }

  private static void put(
      Map<Architecture, Map<Capability, Cell>> rows, String[] fields, Cell cell) {
    rows.getOrDefault(Architecture.valueOf(fields[1]), Map.of())
        .put(Capability.valueOf(fields[2]), cell);
  }

  private static Cell at(Map<Architecture, Map<Capability, Cell>> rows, String[] fields) {
    Map<Capability, Cell> row = rows.getOrDefault(Architecture.valueOf(fields[1]), Map.of());
    return row.getOrDefault(Capability.valueOf(fields[2]), cell("?"));
  }

  private static Cell withAgent(Cell cell, Way way) {
    Set<Way> agents = EnumSet.of(way);
    agents.addAll(cell.agents());
    return new Cell(cell.mark(), cell.notes(), agents);
  }

  private static Map<Integer, String> notes(
      Map<Architecture, Map<Capability, Cell>> rows, int connectorVersion) {
    List<Integer> used =
        rows.values().stream()
            .flatMap(row -> row.values().stream())
            .flatMap(cell -> cell.notes().stream())
            .toList();
    Map<Integer, String> notes = new TreeMap<>();
    Footnote.ALL.stream()
        .filter(note -> used.contains(note.number()))
        .forEach(note -> notes.put(note.number(), note.text(connectorVersion)));
    return notes;
  }

  /** The cell of a class of models and a capability. */
  public Cell cell(Architecture architecture, Capability capability) {
    Cell cell = rows.getOrDefault(architecture, Map.of()).get(capability);
    if (cell == null) {
      throw new IllegalStateException("no cell for " + architecture + ", " + capability);
    }
    return cell;
  }

  /** A row's heading, as on vLLM's page. */
  public static String title(Architecture architecture) {
    return switch (architecture) {
      case DENSE -> "Dense transformers";
      case MLA -> "MLA (DeepSeek-V2/V3)";
      case SPARSE_MLA -> "Sparse MLA (DeepSeek-V3.2)";
      case HYBRID -> "Hybrid SSM / Mamba";
      case MOE -> "MoE";
      case MULTIMODAL -> "Multimodal";
      case ENCODER_DECODER -> "Encoder-decoder";
    };
  }
}
