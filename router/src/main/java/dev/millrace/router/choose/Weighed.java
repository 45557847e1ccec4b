package dev.millrace.router.choose;

/** What is thought of a prompt's two ways: a decode worker alone, or a hand-off. */
public sealed interface Weighed {
  /** Too little was measured by then. */
  Weighed UNKNOWN = new Unknown();

  /** Whether a decode worker should compute it alone. */
  boolean prefersAlone();

  /** It is handed over, to learn what that takes. */
  record Unknown() implements Weighed {
    @Override
    public boolean prefersAlone() {
      return false;
    }
  }

  /**
   * Both ways' times.
   *
   * @param aloneNanos of the decode worker alone, with what its streams wait meanwhile
   * @param handedOverNanos of the hand-off
   * @param streams that the decode worker has
   * @param probes whether it is handed over all the same, to measure
   */
  record Known(double aloneNanos, double handedOverNanos, long streams, boolean probes)
      implements Weighed {
    @Override
    public boolean prefersAlone() {
      return !probes && aloneNanos < handedOverNanos;
    }

    /** Both, for people. */
    public String words() {
      return "the decode worker alone was thought to keep clients waiting for %.1f ms (%d streams beside it), a hand-off for %.1f ms"
          .formatted(aloneNanos / 1e6, streams, handedOverNanos / 1e6);
    }
  }
}
