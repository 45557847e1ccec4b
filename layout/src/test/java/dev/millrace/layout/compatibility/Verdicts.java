package dev.millrace.layout.compatibility;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;

/** What tests ask of verdicts. */
final class Verdicts {
  private Verdicts() {}

  static Verdict engine(EngineProfile.Builder prefill, EngineProfile.Builder decode) {
    return Compatibility.check(prefill.build(), decode.build(), Way.ENGINE);
  }

  static Verdict bridge(EngineProfile.Builder prefill, EngineProfile.Builder decode) {
    return Compatibility.check(prefill.build(), decode.build(), Way.BRIDGE);
  }

  static Verdict relay(EngineProfile.Builder prefill, EngineProfile.Builder decode) {
    return Compatibility.check(prefill.build(), decode.build(), Way.RELAY);
  }

  /** The rules of a refusal's reasons, in order. */
  static List<Rule> refusing(Verdict verdict) {
    assertThat(verdict).isInstanceOf(Verdict.Refused.class);
    return ((Verdict.Refused) verdict).reasons().stream().map(Reason::rule).toList();
  }

  static Reason reason(Verdict verdict, Rule rule) {
    assertThat(refusing(verdict)).contains(rule);
    return ((Verdict.Refused) verdict)
        .reasons().stream().filter(each -> each.rule() == rule).findFirst().orElseThrow();
  }

  /** The rules of a fitting pair's notes, in order. */
  static List<Rule> noted(Verdict verdict) {
    return switch (verdict) {
      case Verdict.Fits _ -> List.of();
      case Verdict.FitsWith(List<Note> notes) -> notes.stream().map(Note::rule).toList();
      case Verdict.Refused(List<Reason> reasons) -> throw new AssertionError(reasons);
      case Verdict.Unknown(List<Missing> missing) -> throw new AssertionError(missing);
    };
  }

  /** What is missing, in order. */
  static List<String> missing(Verdict verdict) {
    assertThat(verdict).isInstanceOf(Verdict.Unknown.class);
    return ((Verdict.Unknown) verdict).missing().stream().map(Missing::toString).toList();
  }
}
