package dev.millrace.simulator.http;

import java.util.List;
import java.util.Optional;

/**
 * Cuts an answer at the first stop string. Text that may be the start of one is held back until it
 * is clear that it is not; the stop string itself is not part of the answer.
 */
final class StopStrings {
  private final List<String> stops;
  private final int longest;
  private final StringBuilder held = new StringBuilder();
  private Optional<String> found = Optional.empty();

  StopStrings(List<String> stops) {
    this.stops = stops;
    this.longest = stops.stream().mapToInt(String::length).max().orElse(0);
  }

  /** Takes the next piece of text and returns what can be passed on. */
  String push(String piece) {
    if (longest == 0) {
      return piece;
    }
    held.append(piece);
    int at = -1;
    for (String stop : stops) {
      int index = held.indexOf(stop);
      if (index >= 0 && (at < 0 || index < at)) {
        at = index;
        found = Optional.of(stop);
      }
    }
    return take(at >= 0 ? at : Math.max(0, held.length() - longest + 1));
  }

  /** Returns what is still held back when the answer ends otherwise. */
  String flush() {
    return take(held.length());
  }

  /** The stop string that ended the answer. */
  Optional<String> found() {
    return found;
  }

  private String take(int length) {
    String text = held.substring(0, length);
    held.delete(0, length);
    return text;
  }
}
