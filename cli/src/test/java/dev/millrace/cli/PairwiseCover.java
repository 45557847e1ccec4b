package dev.millrace.cli;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Few combinations of several dimensions in which every two values of different dimensions meet.
 * Most faults need no more than two values to show (Kuhn, Wallace, Gallo 2004), and the greedy
 * choice, always the combination with most new pairs, is near the least number.
 */
final class PairwiseCover {
  private record Pair(int firstDimension, int first, int secondDimension, int second) {}

  private PairwiseCover() {}

  /** All combinations of indices below the sizes. */
  static List<int[]> product(int... sizes) {
    List<int[]> product = new ArrayList<>();
    int[] indices = new int[sizes.length];
    int dimension;
    do {
      product.add(indices.clone());
      dimension = sizes.length - 1;
      while (dimension >= 0 && ++indices[dimension] == sizes[dimension]) {
        indices[dimension--] = 0;
      }
    } while (dimension >= 0);
    return product;
  }

  /** Enough combinations that every pair of values is in one. */
  static List<int[]> of(int... sizes) {
    List<int[]> product = product(sizes);
    Set<Pair> missing = new HashSet<>();
    product.forEach(combination -> missing.addAll(pairs(combination)));
    List<int[]> cover = new ArrayList<>();
    while (!missing.isEmpty()) {
      int[] best = product.getFirst();
      long most = -1;
      for (int[] candidate : product) {
        long fresh = pairs(candidate).stream().filter(missing::contains).count();
        if (fresh > most) {
          most = fresh;
          best = candidate;
        }
      }
      missing.removeAll(pairs(best));
      cover.add(best);
    }
    return cover;
  }

  private static Set<Pair> pairs(int[] combination) {
    Set<Pair> pairs = new HashSet<>();
    for (int first = 0; first < combination.length; first++) {
      for (int second = first + 1; second < combination.length; second++) {
        pairs.add(new Pair(first, combination[first], second, combination[second]));
      }
    }
    return pairs;
  }
}
