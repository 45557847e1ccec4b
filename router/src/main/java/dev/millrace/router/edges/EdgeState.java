package dev.millrace.router.edges;

import dev.millrace.layout.compatibility.Judgement;
import dev.millrace.layout.compatibility.Missing;
import dev.millrace.layout.compatibility.Reason;
import dev.millrace.layout.compatibility.Verdict;
import dev.millrace.layout.compatibility.Way;
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
   * @param tried every way that is allowed, at least one, with its reasons
   */
  record Refused(List<Judgement> tried) implements EdgeState {
    public Refused {
      tried = List.copyOf(tried);
    }

    /** The first reason of the first way, in a line. */
    public String first() {
      Judgement judgement = tried.getFirst();
      return switch (judgement.verdict()) {
        case Verdict.Refused(List<Reason> reasons) ->
            "%s; %s".formatted(reasons.getFirst(), reasons.getFirst().remedy());
        case Verdict.Unknown(List<Missing> missing) ->
            "not known: %s; learn it from %s"
                .formatted(missing.getFirst(), missing.getFirst().remedy());
        case Verdict.Fits _, Verdict.FitsWith _ -> "it fits by " + judgement.way();
      };
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
