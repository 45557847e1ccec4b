package dev.millrace.layout.compatibility;

/**
 * A verdict, and what may be done on the strength of it.
 *
 * @param way by which blocks would travel
 * @param verdict whether the engines fit by it
 * @param hashes whether they have the same compatibility hash
 */
public record Judgement(Way way, Verdict verdict, Hashes hashes) {

  /** Whether requests may travel. */
  public enum Traffic {
    /** At once. */
    FREELY,
    /** Once a canary was answered right. */
    AFTER_CANARY,
    /** Not at all. */
    NEVER
  }

  /**
   * What an edge may carry.
   *
   * <p>An agent hides the prefill engine's hash, so only a canary shows what was overlooked. Of a
   * pair that not enough is known of, the engines themselves have checked what counts if their
   * hashes are equal; an agent would have checked nothing.
   */
  public Traffic traffic() {
    return switch (verdict) {
      case Verdict.Fits _ -> way == Way.ENGINE ? Traffic.FREELY : Traffic.AFTER_CANARY;
      case Verdict.FitsWith fits -> way == Way.ENGINE ? traffic(fits) : Traffic.AFTER_CANARY;
      case Verdict.Refused _ -> Traffic.NEVER;
      case Verdict.Unknown _ ->
          way == Way.ENGINE && hashes == Hashes.EQUAL ? Traffic.AFTER_CANARY : Traffic.NEVER;
    };
  }

  private static Traffic traffic(Verdict.FitsWith fits) {
    boolean canary =
        fits.notes().stream().anyMatch(note -> note.attention() == Note.Attention.CANARY);
    return canary ? Traffic.AFTER_CANARY : Traffic.FREELY;
  }
}
