package dev.millrace.conformance;

import java.util.List;
import java.util.Map;

/**
 * What an answer says, however it came.
 *
 * @param texts of each sequence
 * @param ends why each ended
 * @param logprobs of each sequence's tokens; empty lists where nobody asked
 */
record Outcome(List<String> texts, List<String> ends, List<List<Likely>> logprobs, Counts usage) {
  /**
   * A token.
   *
   * @param alternatives the likeliest and their log-probabilities
   */
  record Likely(String token, double logprob, Map<String, Double> alternatives) {}

  /** Tokens. */
  record Counts(long prompt, long answer, long total) {
    static Counts of(long prompt, long answer) {
      return new Counts(prompt, answer, prompt + answer);
    }
  }
}
