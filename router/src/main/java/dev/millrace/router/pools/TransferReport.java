package dev.millrace.router.pools;

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
   */
  record Measured(long bytes, double seconds) implements TransferReport {}

  /**
   * No figures, rather than guessed ones.
   *
   * @param why the reason
   */
  record Unknown(Why why) implements TransferReport {}
}
