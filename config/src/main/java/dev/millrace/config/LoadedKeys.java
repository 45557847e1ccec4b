package dev.millrace.config;

import java.util.List;
import java.util.Optional;

/** What came of reading a file of keys. */
public sealed interface LoadedKeys {
  /**
   * The file holds keys that can be used.
   *
   * @param issuer whose tokens are believed; empty: nobody's
   */
  record Valid(List<AccessKey> keys, Optional<TokenIssuer> issuer) implements LoadedKeys {
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
