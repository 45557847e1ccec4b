package dev.millrace.config;

import java.util.List;

/** What came of reading a routing table. */
public sealed interface Loaded {
  /**
   * The file holds a table that can be used.
   *
   * @param table the table
   */
  record Valid(RoutingTable table) implements Loaded {}

  /**
   * The file holds none.
   *
   * @param complaints everything that is wrong with it, in the order of the file; at least one
   */
  record Invalid(List<Complaint> complaints) implements Loaded {
    public Invalid {
      complaints = List.copyOf(complaints);
    }
  }
}
