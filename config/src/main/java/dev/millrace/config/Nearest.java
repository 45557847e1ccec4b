package dev.millrace.config;

import java.util.Collection;
import java.util.Comparator;
import java.util.Locale;
import java.util.Optional;

/**
 * Finds what somebody probably meant: the known word that fewest keystrokes turn into what was
 * written (Damerau-Levenshtein with adjacent transpositions), if they are at most a third of it.
 */
final class Nearest {
  private static final int LONGEST_WORD = 64;

  private Nearest() {}

  /** Worded to end a message: {@code "; did you mean \"port\"?"}, or nothing. */
  static String hint(String written, Collection<String> known) {
    return of(written, known).map("; did you mean \"%s\"?"::formatted).orElse("");
  }

  static Optional<String> of(String written, Collection<String> known) {
    if (written.length() > LONGEST_WORD) {
      return Optional.empty();
    }
    String word = written.toLowerCase(Locale.ROOT).replace('_', '-');
    return known.stream()
        .filter(candidate -> distance(word, candidate) <= candidate.length() / 3)
        .min(Comparator.comparingInt(candidate -> distance(word, candidate)));
  }

  static int distance(String a, String b) {
    int[][] cost = new int[a.length() + 1][b.length() + 1];
    for (int i = 0; i <= a.length(); i++) {
      for (int j = 0; j <= b.length(); j++) {
        if (i == 0 || j == 0) {
          cost[i][j] = i + j;
          continue;
        }
        int replaced = cost[i - 1][j - 1] + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        cost[i][j] = Math.min(replaced, 1 + Math.min(cost[i - 1][j], cost[i][j - 1]));
        if (i > 1
            && j > 1
            && a.charAt(i - 1) == b.charAt(j - 2)
            && a.charAt(i - 2) == b.charAt(j - 1)) {
          cost[i][j] = Math.min(cost[i][j], cost[i - 2][j - 2] + 1);
        }
      }
    }
    return cost[a.length()][b.length()];
  }
}
