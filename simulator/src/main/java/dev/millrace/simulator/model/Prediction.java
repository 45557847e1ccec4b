package dev.millrace.simulator.model;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * What the model thinks comes next: a distribution over tokens that follows from the state of the
 * cache alone.
 *
 * <p>Rank <i>r</i> is the word of the state folded with <i>r</i>. The likeliest has a probability
 * between 0.55 and 0.95, which the state chooses; each further one has half of what is left. Answer
 * number <i>c</i> to a prompt says rank <i>c</i>: the first one is the greedy answer, the others
 * are what sampling might have come upon.
 */
public final class Prediction {
  private static final double LEAST_OF_FIRST = 0.55;
  private static final double RANGE_OF_FIRST = 0.4;

  private final long state;
  private final int choice;

  /** A token that may come next, with the natural logarithm of its probability. */
  public record Candidate(int token, double logProbability) {}

  Prediction(long state, int choice) {
    this.state = state;
    this.choice = choice;
  }

  /** The token that answer number {@code choice} says in a state. */
  public static int said(long state, int choice) {
    return Vocabulary.wordFor(KvFunction.fold(state, choice));
  }

  /**
   * The token that is said, then the likeliest ones, none twice: the order in which vLLM lists
   * them.
   *
   * @param likeliest how many of those; the one that is said may be among them
   */
  public List<Candidate> candidates(int likeliest) {
    int said = said(state, choice);
    Map<Integer, Candidate> ranked = new LinkedHashMap<>();
    for (int i = 0; ranked.size() < likeliest || !ranked.containsKey(said); i++) {
      // Two ranks may have the same word; the later one is left out.
      int token = said(state, i);
      ranked.putIfAbsent(token, new Candidate(token, logProbability(ranked.size())));
    }
    List<Candidate> listed = new ArrayList<>();
    listed.add(Objects.requireNonNull(ranked.get(said)));
    ranked.values().stream()
        .limit(likeliest)
        .filter(candidate -> candidate.token() != said)
        .forEach(listed::add);
    return List.copyOf(listed);
  }

  /**
   * What the model thought of the tokens of a prompt, each with the likeliest ones after it.
   *
   * @param prefixes of the prompt, up to and including each token
   * @return nothing but the token itself, without a probability, for the first one
   */
  public static List<List<Candidate>> ofPrompt(int[] prompt, long[] prefixes, int likeliest) {
    List<List<Candidate>> all = new ArrayList<>();
    all.add(List.of(new Candidate(prompt[0], Double.NaN)));
    for (int i = 1; i < prompt.length; i++) {
      Prediction prediction = new Prediction(prefixes[i - 1], 0);
      int token = prompt[i];
      double uniform = (KvFunction.fold(prefixes[i - 1], token) >>> 11) * 0x1p-53;
      List<Candidate> listed = new ArrayList<>();
      listed.add(new Candidate(token, (double) (float) (-2 - 6 * uniform)));
      prediction.candidates(likeliest).stream()
          .filter(candidate -> candidate.token() != token)
          .limit(likeliest)
          .forEach(listed::add);
      all.add(List.copyOf(listed));
    }
    return all;
  }

  /** With the precision of a 32-bit float, as engines compute it. */
  private double logProbability(int rank) {
    double uniform = (KvFunction.fold(state, -1) >>> 11) * 0x1p-53;
    double first = LEAST_OF_FIRST + RANGE_OF_FIRST * uniform;
    double logarithm = rank == 0 ? Math.log(first) : Math.log(1 - first) - rank * Math.log(2);
    return (double) (float) logarithm;
  }
}
