package dev.millrace.router.handoff;

/** How a hand-off ends. */
public sealed interface Outcome {
  /** The decode worker has read the blocks: it answered with tokens. */
  record Consumed() implements Outcome {}

  /**
   * The prefill worker was told to free them unread.
   *
   * @param by who told it
   */
  record Released(By by) implements Outcome {}

  /** Nobody could tell the prefill worker; it frees them when their lease ends. */
  record Expired() implements Outcome {}

  /** The prefill worker is gone, and the blocks with it. */
  record Lost() implements Outcome {}

  /** Who tells a prefill worker that blocks are not needed. */
  enum By {
    /** The decode engine, which refused or aborted the request. */
    DECODE_ENGINE,
    /** A KV agent. */
    AGENT,
    /** A decode engine, which got a request that it had to refuse. */
    REFUSED_REQUEST
  }
}
