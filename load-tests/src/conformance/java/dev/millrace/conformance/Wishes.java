package dev.millrace.conformance;

import com.openai.core.JsonValue;
import java.util.Map;

/**
 * What a request has beside its text.
 *
 * @param tokens the answer's most
 * @param n sequences
 * @param stop ends the answer; empty if nothing does
 * @param alternatives of each token; 0 if nobody asks for log-probabilities
 * @param members put in as they are, over those that the client would write
 * @param script what the recorder does, in its header; empty for what it always does
 */
record Wishes(
    long tokens,
    long n,
    String stop,
    long alternatives,
    Map<String, JsonValue> members,
    String script) {
  static final int TOKENS = 8;
  static final Wishes NONE = new Wishes(TOKENS, 1, "", 0, Map.of(), "");

  Wishes withTokens(long most) {
    return new Wishes(most, n, stop, alternatives, members, script);
  }

  Wishes withN(long sequences) {
    return new Wishes(tokens, sequences, stop, alternatives, members, script);
  }

  Wishes withStop(String text) {
    return new Wishes(tokens, n, text, alternatives, members, script);
  }

  Wishes withAlternatives(long count) {
    return new Wishes(tokens, n, stop, count, members, script);
  }

  Wishes withMember(String name, Object value) {
    return new Wishes(tokens, n, stop, alternatives, Map.of(name, JsonValue.from(value)), script);
  }

  Wishes withScript(String name) {
    return new Wishes(tokens, n, stop, alternatives, members, name);
  }
}
