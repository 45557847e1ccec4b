package dev.millrace.config;

import java.util.List;

/** What came of reading an agent's configuration. */
public sealed interface LoadedAgent {
  /** The file holds a configuration that can be used. */
  record Valid(AgentConfig config) implements LoadedAgent {}

  /**
   * The file holds none.
   *
   * @param complaints everything that is wrong with it, in the order of the file; at least one
   */
  record Invalid(List<Complaint> complaints) implements LoadedAgent {
    public Invalid {
      complaints = List.copyOf(complaints);
    }
  }
}
