package dev.millrace.config;

import java.util.List;

/** What came of reading a worker that is to be added to a pool. */
public sealed interface LoadedWorker {
  /** It can be added to a pool of this name, if there is one. */
  record Valid(String pool, WorkerAddress worker) implements LoadedWorker {}

  /**
   * It cannot be read.
   *
   * @param complaints everything that is wrong with it, in order; at least one
   */
  record Invalid(List<Complaint> complaints) implements LoadedWorker {
    public Invalid {
      complaints = List.copyOf(complaints);
    }
  }
}
