package dev.millrace.simulator.cache;

import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The block ids of an engine, as vLLM keeps them: one pool for all tensor-parallel ranks, block 0
 * is the null block and never handed out.
 *
 * <p>A full block is published under the hash of the whole prefix that it ends. It stays findable
 * after its last user has released it, until the block is handed out anew; free blocks are handed
 * out in the order in which they became free. A sequence's blocks are freed last block first, so
 * that the start of a prefix outlives its end.
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
   * Blocks for one sequence.
   *
   * @param ids in the order of the sequence
   * @param hits how many of them, from the start, already hold their tokens
   */
  public record Granted(List<Integer> ids, int hits) {
    public Granted {
      ids = List.copyOf(ids);
    }
  }

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
   * Takes {@code total} blocks, as many as possible of them from the cache.
   *
   * @param prefixes hashes of the prefixes that end with the sequence's 1st, 2nd, … full block
   * @param maxHits most blocks to take from the cache
   * @return empty if there are too few free blocks; then nothing has changed
   */
  public Optional<Granted> acquire(long[] prefixes, int maxHits, int total) {
    int[] ids = new int[total];
    int hits = 0;
    int revived = 0;
    while (hits < Math.min(maxHits, Math.min(total, prefixes.length))) {
      Integer id = byHash.get(prefixes[hits]);
      if (id == null) {
        break;
      }
      revived += users[id] == 0 ? 1 : 0;
      ids[hits++] = id;
    }
    if (total - hits > free.size() - revived) {
      return Optional.empty();
    }
    for (int i = 0; i < hits; i++) {
      if (users[ids[i]]++ == 0) {
        free.remove(ids[i]);
      }
    }
    for (int i = hits; i < total; i++) {
      int id = free.removeFirst();
      unpublish(id);
      users[id] = 1;
      ids[i] = id;
    }
    freeBlocks = free.size();
    return Optional.of(new Granted(Arrays.stream(ids).boxed().toList(), hits));
  }

  /** Makes a full block findable by the prefix that it ends; the first one published stays. */
  public void publish(int id, long prefix) {
    if (!published[id] && byHash.putIfAbsent(prefix, id) == null) {
      published[id] = true;
      hashes[id] = prefix;
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
