package dev.millrace.simulator.cache;

import dev.millrace.simulator.model.KvFunction;

/**
 * What has been read back of a sequence: a sum per rank and head. Sums do not depend on the order
 * of reading, so neither tensor parallelism nor layout shows in them. Where several ranks keep the
 * same head, the first one's sum counts, and every other one's that differs from it: replicas that
 * are equal change nothing, one that is not changes the state.
 */
final class SequenceDigest {
  private final int heads;
  private final int headsPerRank;
  private final long[][] sums;

  SequenceDigest(int heads, int ranks, int headsPerRank) {
    this.heads = heads;
    this.headsPerRank = headsPerRank;
    sums = new long[ranks][headsPerRank];
  }

  void add(int rank, int ownHead, long sum) {
    sums[rank][ownHead] += sum;
  }

  /** The state of the cache, over all heads in the model's order. */
  long state() {
    int replicas = Math.max(1, sums.length / heads);
    long state = 0;
    for (int head = 0; head < heads; head++) {
      int first = head / headsPerRank * replicas;
      long canonical = sums[first][head % headsPerRank];
      state = KvFunction.fold(state, canonical);
      for (int replica = 1; replica < replicas; replica++) {
        long other = sums[first + replica][head % headsPerRank];
        if (other != canonical) {
          state = KvFunction.fold(state, other + replica);
        }
      }
    }
    return state;
  }
}
