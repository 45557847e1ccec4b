package dev.millrace.router;

import java.util.List;

/** What came of reading the routing table anew. */
public sealed interface Reloaded {
  /**
   * It is in force.
   *
   * @param pairs how many pairs of workers can be used, a line per route
   */
  record Done(List<String> pairs) implements Reloaded {
    public Done {
      pairs = List.copyOf(pairs);
    }
  }

  /** It says what the one in force says. */
  record Unchanged() implements Reloaded {}

  /**
   * The one in force stays.
   *
   * @param why everything that is against the other one, at least one line
   */
  record Refused(List<String> why) implements Reloaded {
    public Refused {
      why = List.copyOf(why);
    }
  }
}
