package dev.millrace.router;

import dev.millrace.config.Loaded;

/** Where a routing table comes from, to be read anew. May block. */
@FunctionalInterface
public interface TableSource {
  /** Reads it. */
  Loaded read();
}
