package dev.millrace.layout.compatibility;

import java.util.List;

/** The way by which two engines are paired. */
public sealed interface Choice {

  /**
   * One was found.
   *
   * @param chosen the first that fits; or, where none is known to fit, the engines' own way after a
   *     canary
   * @param before those that come first and do not fit
   */
  record Use(Judgement chosen, List<Judgement> before) implements Choice {
    public Use {
      before = List.copyOf(before);
    }
  }

  /**
   * None was found.
   *
   * @param tried all of them
   */
  record None(List<Judgement> tried) implements Choice {
    public None {
      tried = List.copyOf(tried);
    }
  }
}
