package dev.millrace.simulator;

/**
 * What an engine can be told to do wrong, at run time. Ends with {@link SimulatedEngine#behave}.
 */
public sealed interface Misbehaviour {

  /** Answers every completion with an error of this status. */
  record Refuse(int status) implements Misbehaviour {}

  /** Takes requests and never answers. */
  record StallBeforeHead() implements Misbehaviour {}

  /** Sends the head of a stream, then nothing. */
  record StallBeforeFirstToken() implements Misbehaviour {}

  /** Sends so many tokens of a stream, then nothing. */
  record StallMidStream(int afterTokens) implements Misbehaviour {}

  /** Resets the connection instead of answering. */
  record ResetBeforeHead() implements Misbehaviour {}

  /** Resets the connection after so many tokens of a stream. */
  record ResetMidStream(int afterTokens) implements Misbehaviour {}

  /** Ends the engine after so many tokens of a stream. */
  record DieMidStream(int afterTokens) implements Misbehaviour {}

  /** Flips one bit of what was loaded from a prefill engine. */
  record CorruptByte() implements Misbehaviour {}

  /** Loads two blocks into each other's place. */
  record SwapBlocks() implements Misbehaviour {}

  /** Does not load the last block of a prompt. */
  record DropLastBlock() implements Misbehaviour {}

  /** Places what was loaded one token too early. */
  record ShiftByOneToken() implements Misbehaviour {}

  /** Fails every load from one prefill engine, as if the network between the two were cut. */
  record CannotReadFrom(String engineId) implements Misbehaviour {}

  /** Frees the blocks of a hand-off at once and forgets it, though the answer promises them. */
  record ForgetLease() implements Misbehaviour {}

  /** Answers prefills without naming the blocks, and keeps none. */
  record NameNoBlocks() implements Misbehaviour {}

  /** Names the engine that ran here before it was restarted, whose blocks are gone. */
  record NameFormerEngine() implements Misbehaviour {}

  /**
   * Says in the handshake that its memory begins one block later than it does: every check passes,
   * and every answer is wrong.
   */
  record LieAboutGeometry() implements Misbehaviour {}
}
