package dev.millrace.router.pools;

import java.util.Locale;
import java.util.Optional;

/** What a decode worker reports about the blocks it read for one exchange. */
public sealed interface TransferReport {
  /** Why there are no figures. */
  enum Why {
    /** The worker has not been asked since. */
    NOT_ASKED_YET("not asked yet"),
    /** Other exchanges ran on it at the same time, and its counters do not tell them apart. */
    NOT_ALONE("other exchanges ran on the worker at the same time"),
    /** It did not answer, or its answer has no such counters. */
    NOT_REPORTED("the worker does not report it"),
    /** No decode leg of the exchange got an answer. */
    NO_DECODE_LEG("there was no decode leg");

    private final String words;

    Why(String words) {
      this.words = words;
    }

    /** The reason for people. */
    public String words() {
      return words;
    }
  }

  /**
   * By how much the worker's counters rose while this exchange was alone on it.
   *
   * @param bytes bytes read from the prefill worker
   * @param seconds time the reads took
   * @param tokens where the prompt's tokens came from; empty where the worker does not count that
   */
  record Measured(long bytes, double seconds, Optional<Tokens> tokens) implements TransferReport {}

  /**
   * Where the tokens of a prompt came from, but for those that the worker had in its own cache.
   *
   * @param loaded from the prefill worker
   * @param computed by itself; the last token of a prompt always is
   */
  record Tokens(long loaded, long computed) {}

  /** What became of the blocks that a decode worker was handed. */
  enum Outcome {
    /** It has read what it lacked. */
    TRANSFERRED,
    /** It has read a part and computed the rest. */
    PARTIAL,
    /** It has read nothing and computed the prompt itself. */
    RECOMPUTED,
    /** That cannot be told. */
    UNKNOWN;

    /** Its name in JSON. */
    public String word() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /**
   * What it says of blocks that were handed over. The last token of a prompt is computed by the
   * decode worker in any case, since only that gives the first of the answer.
   */
  default Outcome outcome() {
    return switch (this) {
      case Unknown _ -> Outcome.UNKNOWN;
      case NothingNamed _ -> Outcome.RECOMPUTED;
      case Measured(long bytes, _, Optional<Tokens> tokens) ->
          tokens
              .map(from -> {
                if (from.computed() <= 1) {
                  return Outcome.TRANSFERRED;
                }
                return bytes > 0 && from.loaded() > 0 ? Outcome.PARTIAL : Outcome.RECOMPUTED;
              })
              .orElse(bytes > 0 ? Outcome.TRANSFERRED : Outcome.UNKNOWN);
    };
  }

  /** The prefill worker's answer named no blocks, so there was nothing to read. */
  record NothingNamed() implements TransferReport {}

  /**
   * No figures, rather than guessed ones.
   *
   * @param why the reason
   */
  record Unknown(Why why) implements TransferReport {}
}
