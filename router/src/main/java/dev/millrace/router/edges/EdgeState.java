package dev.millrace.router.edges;

import java.util.List;

/** Whether an edge carries exchanges, and why not. */
public sealed interface EdgeState {
  /**
   * Nothing is known yet, or not any more. Exchanges wait a little for it.
   *
   * @param why what is missing
   */
  record Pending(String why) implements EdgeState {}

  /**
   * Blocks can go over it.
   *
   * @param way how they go
   * @param notes what an operator should know of it
   */
  record Usable(Way way, List<String> notes) implements EdgeState {
    public Usable {
      notes = List.copyOf(notes);
    }
  }

  /**
   * The two do not fit, or nobody can tell that they do.
   *
   * @param reasons at least one, the most fundamental first, each with its remedy
   */
  record Refused(List<String> reasons) implements EdgeState {
    public Refused {
      reasons = List.copyOf(reasons);
    }
  }

  /**
   * They should fit, but it does not work.
   *
   * @param cause who is to mend it
   * @param why what went wrong last
   * @param sinceNanos since when it is not used
   */
  record Broken(Cause cause, String why, long sinceNanos) implements EdgeState {}

  /** What breaks an edge. */
  enum Cause {
    /** A worker does not answer; when it does the edge is judged anew. */
    WORKER_GONE,
    /** Exchanges failed on it, or a canary did: it is tried again after a while. */
    FAILURES
  }
}
