package dev.millrace.config;

import org.snakeyaml.engine.v2.exceptions.Mark;
import org.snakeyaml.engine.v2.nodes.Node;

/**
 * A position in a text, both counted from 1, columns in code points.
 *
 * @param line the line
 * @param column the column
 */
record Place(int line, int column) {
  static final Place START = new Place(1, 1);

  static Place of(Mark mark) {
    return new Place(mark.getLine() + 1, mark.getColumn() + 1);
  }

  static Place of(Node node) {
    return node.getStartMark().map(Place::of).orElse(START);
  }

  /** Where the character after the first {@code length} of a text stands. */
  static Place after(String text, int length) {
    String before = text.substring(0, length);
    int lineStart = before.lastIndexOf('\n') + 1;
    int line = 1 + (int) before.chars().filter(character -> character == '\n').count();
    return new Place(line, 1 + before.codePointCount(lineStart, before.length()));
  }
}
