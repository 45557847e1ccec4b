package dev.millrace.config;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.snakeyaml.engine.v2.nodes.Node;

/** Collects what is wrong with a file, and those that it names, so that all is reported at once. */
final class Complaints {
  /** More would not be read by anybody, and a hostile file could ask for millions. */
  private static final int MOST = 100;

  private static final int LONGEST_QUOTE = 80;

  private final String file;
  private final List<Complaint> collected = new ArrayList<>();
  private final List<Complaints> beside = new ArrayList<>();
  private int leftOut;

  Complaints(String file) {
    this.file = file;
  }

  void add(Node where, String path, String message) {
    add(Place.of(where), path, message);
  }

  void add(Place place, String path, String message) {
    if (collected.size() < MOST) {
      collected.add(new Complaint(file, place.line(), place.column(), path, message));
    } else {
      leftOut++;
    }
  }

  void add(Complaint complaint) {
    collected.add(complaint);
  }

  /** Collects what is wrong with another file, which this one names. */
  Complaints beside(String other) {
    Complaints added = new Complaints(other);
    beside.add(added);
    return added;
  }

  /** The file that is read. */
  String file() {
    return file;
  }

  boolean none() {
    return collected.isEmpty() && beside.stream().allMatch(Complaints::none);
  }

  /** A routing table that is none, for these reasons. */
  Loaded invalid() {
    return new Loaded.Invalid(ordered());
  }

  /** The complaints in the order of the file, then those of the files that it names. */
  List<Complaint> ordered() {
    List<Complaint> ordered = new ArrayList<>(collected);
    ordered.sort(Comparator.comparingInt(Complaint::line).thenComparingInt(Complaint::column));
    if (leftOut > 0) {
      Complaint last = ordered.getLast();
      String more = "%d more complaints are left out".formatted(leftOut);
      ordered.add(new Complaint(file, last.line(), last.column(), "", more));
    }
    beside.forEach(other -> ordered.addAll(other.ordered()));
    return ordered;
  }

  /** A value of the file as a message shows it: quoted, on one line, not too long. */
  static String quote(String value) {
    StringBuilder quoted = new StringBuilder("\"");
    value
        .codePoints()
        .limit(LONGEST_QUOTE)
        .forEach(point -> {
          if (Character.isISOControl(point) || !Character.isDefined(point)) {
            quoted.append("\\u%04x".formatted(point));
          } else {
            quoted.appendCodePoint(point);
          }
        });
    return quoted.append(value.codePoints().count() > LONGEST_QUOTE ? "…\"" : "\"").toString();
  }
}
