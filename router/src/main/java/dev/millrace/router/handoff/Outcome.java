package dev.millrace.router.handoff;

/** How a hand-off ends. */
public sealed interface Outcome {
  /** The decode worker has read the blocks: it answered with tokens. */
  record Consumed() implements Outcome {}

  /** A decode worker has told the prefill worker to free them unread. */
  record Released() implements Outcome {}

  /** Nobody could tell the prefill worker; it frees them when their lease ends. */
  record Expired() implements Outcome {}

  /** The prefill worker is gone, and the blocks with it. */
  record Lost() implements Outcome {}
}
