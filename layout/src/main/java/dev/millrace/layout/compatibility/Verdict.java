package dev.millrace.layout.compatibility;

import java.util.List;

/** Whether two engines fit by one {@link Way}. */
public sealed interface Verdict {

  /** They do. */
  record Fits() implements Verdict {}

  /**
   * They do, and there is something to know.
   *
   * @param notes at least one, in the order of their rules
   */
  record FitsWith(List<Note> notes) implements Verdict {
    public FitsWith {
      notes = List.copyOf(notes);
    }
  }

  /**
   * They do not.
   *
   * @param reasons all of them, at least one, in the order of their rules
   */
  record Refused(List<Reason> reasons) implements Verdict {
    public Refused {
      reasons = List.copyOf(reasons);
    }
  }

  /**
   * Nothing speaks against them, but not enough is known.
   *
   * @param missing at least one, in the order of their rules
   */
  record Unknown(List<Missing> missing) implements Verdict {
    public Unknown {
      missing = List.copyOf(missing);
    }
  }

  /** Whether the engines fit. */
  default boolean fits() {
    return switch (this) {
      case Fits _, FitsWith _ -> true;
      case Refused _, Unknown _ -> false;
    };
  }
}
