package dev.millrace.layout.compatibility;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** What is found while a pair is judged, and the verdict that comes of it. */
final class Findings {
  private final List<Reason> reasons = new ArrayList<>();
  private final List<Note> notes = new ArrayList<>();
  private final List<Missing> missing = new ArrayList<>();

  void refuse(Rule rule, Object prefill, Object decode, String remedy) {
    refuse(rule, prefill, decode, rule.source(), remedy);
  }

  void refuse(Rule rule, Object prefill, Object decode, String source, String remedy) {
    reasons.add(new Reason(rule, String.valueOf(prefill), String.valueOf(decode), source, remedy));
  }

  void note(Rule rule, String text, Note.Attention attention) {
    notes.add(new Note(rule, text, attention));
  }

  /** Says that facts are needed, of each side that lacks them. */
  void need(Rule rule, Pair pair, Fact<?>... facts) {
    for (Fact<?> fact : facts) {
      if (pair.prefill(fact).isEmpty()) {
        need(rule, Side.PREFILL, fact);
      }
      if (pair.decode(fact).isEmpty()) {
        need(rule, Side.DECODE, fact);
      }
    }
  }

  void need(Rule rule, Side side, Fact<?> fact) {
    need(rule, side, fact.toString(), "declare it, or let it be learnt from " + fact.learntFrom());
  }

  void need(Rule rule, Side side, String what, String remedy) {
    missing.add(new Missing(rule, side, what, remedy));
  }

  Verdict verdict() {
    if (!reasons.isEmpty()) {
      return new Verdict.Refused(sorted(reasons, Comparator.comparing(Reason::rule)));
    }
    if (!missing.isEmpty()) {
      return new Verdict.Unknown(
          sorted(missing, Comparator.comparing(Missing::rule).thenComparing(Missing::side)));
    }
    return notes.isEmpty()
        ? new Verdict.Fits()
        : new Verdict.FitsWith(sorted(notes, Comparator.comparing(Note::rule)));
  }

  private static <T> List<T> sorted(List<T> found, Comparator<T> order) {
    return found.stream().distinct().sorted(order).toList();
  }
}
