package dev.millrace.simulator.model;

import java.util.Arrays;

/**
 * Tokens that an answer says in one go, as the states of the cache from which they follow.
 * Immutable.
 */
public final class Spoken {
  private final int choice;
  private final long[] states;

  private Spoken(int choice, long[] states) {
    this.choice = choice;
    this.states = states;
  }

  /**
   * What is said in these states.
   *
   * @param choice which of several answers to the prompt says it, from 0
   */
  public static Spoken in(int choice, long... states) {
    return new Spoken(choice, states.clone());
  }

  /** How many tokens there are. */
  public int count() {
    return states.length;
  }

  /** The {@code index}-th token. */
  public int token(int index) {
    return Prediction.said(states[index], choice);
  }

  /** What the model thought when it said the {@code index}-th token. */
  public Prediction prediction(int index) {
    return new Prediction(states[index], choice);
  }

  /** All tokens. */
  public int[] tokens() {
    return Arrays.stream(states).mapToInt(state -> Prediction.said(state, choice)).toArray();
  }
}
