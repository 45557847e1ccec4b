package dev.millrace.config;

import java.util.List;

/** What came of reading a file of keys. */
public sealed interface LoadedKeys {
  /** The file holds keys that can be used. */
  record Valid(List<AccessKey> keys) implements LoadedKeys {
    public Valid {
      keys = List.copyOf(keys);
    }
  }

  /**
   * The file holds none.
   *
   * @param complaints everything that is wrong with it, in the order of the file; at least one
   */
  record Invalid(List<Complaint> complaints) implements LoadedKeys {
    public Invalid {
      complaints = List.copyOf(complaints);
    }
  }
}
