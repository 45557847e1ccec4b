package dev.millrace.simulator.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Optional;
import org.junit.jupiter.api.Test;

class BlockPoolTest {
  private static final long[] NOTHING = {};

  private static int[] ids(Optional<BlockPool.Granted> granted) {
    return granted.orElseThrow().ids().stream().mapToInt(Integer::intValue).toArray();
  }

  @Test
  void acquire_neverGivesTheNullBlock() {
    BlockPool pool = new BlockPool(4);
    assertThat(ids(pool.acquire(NOTHING, 0, 3))).containsExactly(1, 2, 3);
    assertThat(pool.acquire(NOTHING, 0, 1)).isEmpty();
  }

  @Test
  void acquire_publishedAndFreed_isFoundAgain() {
    BlockPool pool = new BlockPool(4);
    int[] first = ids(pool.acquire(NOTHING, 0, 2));
    pool.publish(first[0], 11);
    pool.publish(first[1], 22);
    pool.release(first);
    BlockPool.Granted again = pool.acquire(new long[] {11, 22}, 2, 3).orElseThrow();
    assertThat(again.hits()).isEqualTo(2);
    assertThat(again.ids()).startsWith(first[0], first[1]).doesNotHaveDuplicates();
    assertThat(pool.freeBlocks()).isZero();
  }

  @Test
  void acquire_sharedPrefix_isUsedTwiceAndFreedOnce() {
    BlockPool pool = new BlockPool(4);
    int[] first = ids(pool.acquire(NOTHING, 0, 1));
    pool.publish(first[0], 11);
    int[] second = ids(pool.acquire(new long[] {11}, 1, 1));
    assertThat(second).isEqualTo(first);
    pool.release(first);
    assertThat(pool.usedBlocks()).isEqualTo(1);
    pool.release(second);
    assertThat(pool.usedBlocks()).isZero();
  }

  @Test
  void acquire_hitsAloneAreNotEnough_changesNothing() {
    BlockPool pool = new BlockPool(3);
    int[] first = ids(pool.acquire(NOTHING, 0, 1));
    pool.publish(first[0], 11);
    pool.release(first);
    // One cached block and one free one: three blocks are one too many.
    assertThat(pool.acquire(new long[] {11}, 1, 3)).isEmpty();
    assertThat(pool.freeBlocks()).isEqualTo(2);
  }

  @Test
  void acquire_blockHandedOutAnew_isNoLongerFound() {
    BlockPool pool = new BlockPool(2);
    int[] first = ids(pool.acquire(NOTHING, 0, 1));
    pool.publish(first[0], 11);
    pool.release(first);
    pool.release(ids(pool.acquire(NOTHING, 0, 1)));
    assertThat(pool.acquire(new long[] {11}, 1, 1).orElseThrow().hits()).isZero();
  }

  @Test
  void release_twice_isRefused() {
    BlockPool pool = new BlockPool(3);
    int[] ids = ids(pool.acquire(NOTHING, 0, 1));
    pool.release(ids);
    assertThatThrownBy(() -> pool.release(ids)).isInstanceOf(IllegalStateException.class);
  }
}
