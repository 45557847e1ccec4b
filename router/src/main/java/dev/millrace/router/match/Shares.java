package dev.millrace.router.match;

import dev.millrace.router.choose.Fingerprint;
import java.util.List;

/**
 * Which branch of a split route a request takes, by weighted rendezvous hashing.
 *
 * <p>{@code pick = argmin of -ln(u(H(key, branch))) / weight(branch)}, with {@code u} a hash as a
 * number between 0 and 1. Each term is exponentially distributed at the rate of its weight, so a
 * branch has the least as often as its share says. A key takes the same branch in every router and
 * after every restart; where one weight changes, keys move to or from that branch alone.
 */
final class Shares {
  /** As many numbers as a double can tell apart below 1. */
  private static final double UNIT = 0x1p-53;

  private final long[] identities;
  private final int[] weights;

  /** Of branches by their names, with a weight for each. */
  Shares(List<String> names, List<Integer> weights) {
    this.identities = names.stream().mapToLong(Fingerprint::of).toArray();
    this.weights = weights.stream().mapToInt(Integer::intValue).toArray();
  }

  /** The number of the branch that a key takes. */
  int pick(long key) {
    int best = -1;
    double least = Double.POSITIVE_INFINITY;
    for (int i = 0; i < weights.length; i++) {
      if (weights[i] > 0) {
        double term = term(Fingerprint.of(key, identities[i]), weights[i]);
        if (best < 0 || term < least) {
          best = i;
          least = term;
        }
      }
    }
    return best;
  }

  /**
   * {@code StrictMath}, because {@code Math} may differ in the last bit from machine to machine.
   */
  private static double term(long hash, int weight) {
    double between0And1 = ((hash >>> 11) + 0.5) * UNIT;
    return -StrictMath.log(between0And1) / weight;
  }
}
