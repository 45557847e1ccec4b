package dev.millrace.router.probe;

import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/**
 * The first token of a greedy answer, with what the engine thought of the others.
 *
 * @param text of the token
 * @param logProbabilities natural logarithms, of the likeliest tokens by their text; empty where
 *     the engine gives none
 */
public record FirstToken(String text, Map<String, Double> logProbabilities) {
  /**
   * Engines that read the same blocks still add up in another order where their tensor parallelism
   * differs: with bfloat16 the logarithms then differ by some hundredths. A wrong block moves them
   * by more than one.
   */
  private static final double TOLERANCE = 0.25;

  public FirstToken {
    logProbabilities = Map.copyOf(logProbabilities);
  }

  /** That of an answer of {@code /v1/completions}. */
  public static FirstToken of(JsonObject answer) {
    JsonObject choice = answer.getJsonArray("choices").getJsonObject(0);
    Map<String, Double> top = new HashMap<>();
    JsonObject logprobs = choice.getJsonObject("logprobs");
    JsonArray first = logprobs == null ? null : logprobs.getJsonArray("top_logprobs");
    if (first != null && !first.isEmpty() && first.getJsonObject(0) != null) {
      first
          .getJsonObject(0)
          .forEach(each -> top.put(each.getKey(), ((Number) each.getValue()).doubleValue()));
    }
    return new FirstToken(choice.getString("text"), top);
  }

  /** Why another engine's is not the same; empty if it is, or as good as that. */
  public Optional<String> differs(FirstToken other) {
    Double mine = logProbabilities.get(text);
    Double theirs = other.logProbabilities.get(other.text);
    if (mine == null || theirs == null) {
      return text.equals(other.text)
          ? Optional.empty()
          : Optional.of("\"%s\" instead of \"%s\"".formatted(other.text, text));
    }
    Double ofTheirToken = logProbabilities.get(other.text);
    if (ofTheirToken == null) {
      return Optional.of(
          "\"%s\", which is none of the likeliest; \"%s\" is".formatted(other.text, text));
    }
    // A near tie may fall the other way.
    double gap = Math.max(mine - ofTheirToken, Math.abs(ofTheirToken - theirs));
    return gap <= TOLERANCE
        ? Optional.empty()
        : Optional.of(
            "\"%s\" with log probability %.3f, where %.3f is right; \"%s\" is likeliest with %.3f"
                .formatted(other.text, theirs, ofTheirToken, text, mine));
  }
}
