package dev.millrace.simulator.cache;

import dev.millrace.simulator.model.KvFunction;
import java.util.Arrays;

/**
 * What has been read back of a sequence: a sum per rank and head. Layers that see all tokens are
 * read once and added up; what slides and what changes in place is read anew for every token. Sums
 * do not depend on the order of reading, so neither tensor parallelism nor layout shows in them.
 * Where several ranks keep the same head, the first one's sum counts, and every other one's that
 * differs from it: replicas that are equal change nothing, one that is not changes the state.
 */
final class SequenceDigest {
  private final int heads;
  private final int headsPerRank;
  private final long[][] sums;
  private final long[][] window;
  private long states;

  SequenceDigest(int heads, int ranks, int headsPerRank) {
    this.heads = heads;
    this.headsPerRank = headsPerRank;
    sums = new long[ranks][headsPerRank];
    window = new long[ranks][headsPerRank];
  }

  /** Forgets what must be read anew. */
  void begin() {
    for (long[] rank : window) {
      Arrays.fill(rank, 0);
    }
    states = 0;
  }

  void add(int rank, int ownHead, long sum) {
    sums[rank][ownHead] += sum;
  }

  void addInWindow(int rank, int ownHead, long sum) {
    window[rank][ownHead] += sum;
  }

  void addState(long digest) {
    states += digest;
  }

  /** The state of the cache, over all heads in the model's order. */
  long state() {
    int replicas = Math.max(1, sums.length / heads);
    long state = states;
    for (int head = 0; head < heads; head++) {
      int first = head / headsPerRank * replicas;
      long canonical = sum(first, head % headsPerRank);
      state = KvFunction.fold(state, canonical);
      for (int replica = 1; replica < replicas; replica++) {
        long other = sum(first + replica, head % headsPerRank);
        if (other != canonical) {
          state = KvFunction.fold(state, other + replica);
        }
      }
    }
    return state;
  }

  private long sum(int rank, int ownHead) {
    return sums[rank][ownHead] + window[rank][ownHead];
  }
}
