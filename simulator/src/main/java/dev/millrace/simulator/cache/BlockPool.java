package dev.millrace.simulator.cache;

import dev.millrace.simulator.model.KvFunction;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The block ids of an engine, as vLLM keeps them: one pool for all tensor-parallel ranks and
 * KV-cache groups, block 0 is the null block and never handed out.
 *
 * <p>A full block is published under the hash of the whole prefix that it ends, in its group. It
 * stays findable after its last user has released it, until the block is handed out anew; free
 * blocks are handed out in the order in which they became free. A sequence's blocks are freed last
 * block first, so that the start of a prefix outlives its end.
 *
 * <p>Belongs to the engine's event loop; only the counts may be asked from elsewhere.
 */
public final class BlockPool {
  private final int[] users;
  private final long[] hashes;
  private final boolean[] published;
  private final Map<Long, Integer> byHash = new HashMap<>();
  private final LinkedHashSet<Integer> free = new LinkedHashSet<>();

  /** The size of {@code free}, for other threads. */
  private volatile int freeBlocks;

  /**
   * What a sequence wants in one KV-cache group.
   *
   * @param total blocks for all that it will ever hold
   * @param lookBack how many blocks before a token must be there for it: all, or those that a
   *     sliding window reaches
   */
  public record Wanted(int total, int lookBack) {}

  /**
   * Blocks for one sequence.
   *
   * @param hits how many blocks, from the start, already hold their tokens
   */
  public record Granted(GroupBlocks blocks, int hits) {}

  /** A pool of ids 1 to {@code blocks - 1}. */
  public BlockPool(int blocks) {
    if (blocks < 2) {
      throw new IllegalArgumentException("blocks=" + blocks + " (>= 2, block 0 is the null block)");
    }
    users = new int[blocks];
    hashes = new long[blocks];
    published = new boolean[blocks];
    for (int id = 1; id < blocks; id++) {
      free.add(id);
    }
    freeBlocks = free.size();
  }

  /**
   * Takes blocks, as many as possible of them from the cache.
   *
   * @param groups what is wanted of each
   * @param prefixes hashes of the prefixes that end with the sequence's 1st, 2nd, … full block
   * @param maxHits most blocks of each group to take from the cache
   * @return empty if there are too few free blocks; then nothing has changed
   */
  public Optional<Granted> acquire(List<Wanted> groups, long[] prefixes, int maxHits) {
    int hits = hits(groups, prefixes, maxHits);
    List<int[]> ids = new ArrayList<>();
    int fresh = 0;
    int revived = 0;
    for (int group = 0; group < groups.size(); group++) {
      Wanted wanted = groups.get(group);
      int[] own = new int[wanted.total()];
      for (int i = firstNeeded(hits, wanted); i < hits; i++) {
        own[i] = cached(group, prefixes[i]);
        revived += users[own[i]] == 0 ? 1 : 0;
      }
      fresh += wanted.total() - hits;
      ids.add(own);
    }
    if (fresh > free.size() - revived) {
      return Optional.empty();
    }
    for (int[] own : ids) {
      for (int i = 0; i < hits; i++) {
        if (own[i] != 0 && users[own[i]]++ == 0) {
          free.remove(own[i]);
        }
      }
    }
    for (int[] own : ids) {
      for (int i = hits; i < own.length; i++) {
        int id = free.removeFirst();
        unpublish(id);
        users[id] = 1;
        own[i] = id;
      }
    }
    freeBlocks = free.size();
    return Optional.of(new Granted(GroupBlocks.of(ids.toArray(int[][]::new)), hits));
  }

  /** The longest start of a sequence of which every group has what is needed to go on. */
  private int hits(List<Wanted> groups, long[] prefixes, int maxHits) {
    int most = Math.min(maxHits, prefixes.length);
    for (Wanted wanted : groups) {
      most = Math.min(most, wanted.total());
    }
    for (int hits = most; hits > 0; hits--) {
      if (areCached(groups, prefixes, hits)) {
        return hits;
      }
    }
    return 0;
  }

  private boolean areCached(List<Wanted> groups, long[] prefixes, int hits) {
    for (int group = 0; group < groups.size(); group++) {
      for (int i = firstNeeded(hits, groups.get(group)); i < hits; i++) {
        if (cached(group, prefixes[i]) == 0) {
          return false;
        }
      }
    }
    return true;
  }

  private static int firstNeeded(int hits, Wanted wanted) {
    return Math.max(0, hits - wanted.lookBack());
  }

  private int cached(int group, long prefix) {
    return byHash.getOrDefault(key(group, prefix), 0);
  }

  private static long key(int group, long prefix) {
    return KvFunction.fold(prefix, group);
  }

  /**
   * Makes a full block of a group findable by the prefix that it ends; the first one published
   * stays.
   */
  public void publish(int id, int group, long prefix) {
    long key = key(group, prefix);
    if (id != 0 && !published[id] && byHash.putIfAbsent(key, id) == null) {
      published[id] = true;
      hashes[id] = key;
    }
  }

  /** Adds one use to each block; they must be in use. */
  public void retain(int[] ids) {
    for (int id : ids) {
      if (users[id] < 1) {
        throw new IllegalStateException("block " + id + " is retained but not in use");
      }
      users[id]++;
    }
  }

  /** Gives up one use of each block. */
  public void release(int[] ids) {
    for (int i = ids.length - 1; i >= 0; i--) {
      int id = ids[i];
      if (users[id] < 1) {
        throw new IllegalStateException(
            "block %d of %s is released but not in use".formatted(id, Arrays.toString(ids)));
      }
      if (--users[id] == 0) {
        free.addLast(id);
      }
    }
    freeBlocks = free.size();
  }

  /** Forgets what is cached. Blocks in use are not affected. */
  public void forgetPrefixes() {
    byHash.clear();
    Arrays.fill(published, false);
  }

  /** Blocks that nobody uses, cached ones included. */
  public int freeBlocks() {
    return freeBlocks;
  }

  /** Blocks in use. */
  public int usedBlocks() {
    return capacity() - freeBlocks;
  }

  /** Blocks that can be in use at the same time. */
  public int capacity() {
    return users.length - 1;
  }

  private void unpublish(int id) {
    if (published[id]) {
      published[id] = false;
      byHash.remove(hashes[id]);
    }
  }
}
