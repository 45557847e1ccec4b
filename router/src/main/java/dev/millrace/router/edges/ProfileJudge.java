package dev.millrace.router.edges;

import dev.millrace.config.Pairing;
import dev.millrace.config.Transfer;
import dev.millrace.layout.compatibility.Choice;
import dev.millrace.layout.compatibility.Compatibility;
import dev.millrace.layout.compatibility.EngineProfile;
import dev.millrace.layout.compatibility.Fact;
import dev.millrace.layout.compatibility.Judgement;
import dev.millrace.layout.compatibility.Note;
import dev.millrace.layout.compatibility.Verdict;
import dev.millrace.layout.compatibility.Way;
import dev.millrace.router.probe.Profiles;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Judges a pair by vLLM's rules and by what agents can do about them. */
public final class ProfileJudge implements Judge {
  private final boolean agents;

  /**
   * A judge.
   *
   * @param agents whether there are KV agents, without which there is one way only
   */
  public ProfileJudge(boolean agents) {
    this.agents = agents;
  }

  @Override
  public Ruling judge(Seen prefill, Seen decode, Pairing pairing) {
    return judge(
        Profiles.of(prefill.worker(), prefill.sighting()),
        Profiles.of(decode.worker(), decode.sighting()),
        pairing);
  }

  /** The same for profiles, however they came about. */
  public Ruling judge(EngineProfile prefill, EngineProfile decode, Pairing pairing) {
    return switch (Compatibility.choose(prefill, decode, ways(pairing.transfer()))) {
      case Choice.Use(Judgement chosen, List<Judgement> before) ->
          new Ruling.Fits(
              chosen.way(), notes(chosen, before), needsCanary(prefill, decode, chosen, pairing));
      case Choice.None(List<Judgement> tried) -> new Ruling.Refuses(tried);
    };
  }

  private List<Way> ways(Transfer transfer) {
    return switch (transfer) {
      case ENGINE -> List.of(Way.ENGINE);
      case BRIDGE -> List.of(Way.BRIDGE);
      case RELAY -> List.of(Way.RELAY);
      case AUTO -> agents ? List.of(Way.values()) : List.of(Way.ENGINE);
    };
  }

  private static List<String> notes(Judgement chosen, List<Judgement> before) {
    List<String> notes = new ArrayList<>();
    for (Judgement judgement : before) {
      notes.add("not by %s: %s".formatted(judgement.way(), first(judgement.verdict())));
    }
    switch (chosen.verdict()) {
      case Verdict.FitsWith(List<Note> own) -> own.forEach(note -> notes.add(note.toString()));
      case Verdict.Unknown unknown ->
          notes.add("not known: %s; the hashes are equal".formatted(first(unknown)));
      case Verdict.Fits _, Verdict.Refused _ -> {}
    }
    return notes;
  }

  /** What stands first in a verdict, in a line. */
  private static String first(Verdict verdict) {
    return switch (verdict) {
      case Verdict.Fits _ -> "it fits";
      case Verdict.FitsWith(List<Note> notes) -> notes.getFirst().toString();
      case Verdict.Refused(var reasons) -> reasons.getFirst().toString();
      case Verdict.Unknown(var missing) -> missing.getFirst().toString();
    };
  }

  private static boolean needsCanary(
      EngineProfile prefill, EngineProfile decode, Judgement chosen, Pairing pairing) {
    return switch (pairing.canary()) {
      case OFF -> false;
      case ALWAYS -> true;
      case AUTO ->
          switch (chosen.traffic()) {
            case AFTER_CANARY -> true;
            case FREELY, NEVER -> differ(prefill, decode) || !TriedPairs.contain(prefill, decode);
          };
    };
  }

  private static boolean differ(EngineProfile prefill, EngineProfile decode) {
    Optional<Integer> p = prefill.value(Fact.KERNEL_BLOCK_SIZE);
    Optional<Integer> d = decode.value(Fact.KERNEL_BLOCK_SIZE);
    return p.isEmpty() || !p.equals(d);
  }
}
