package dev.millrace.config;

/** Who says that a worker belongs to its pool. */
public enum WorkerSource implements Keyword {
  /** The routing table. */
  STATIC,
  /** A file that the table names. */
  FILE,
  /** The answer to a question that the table has for a name server. */
  DNS,
  /** An operator, by the admin port. */
  ADMIN
}
