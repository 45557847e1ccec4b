package dev.millrace.simulator.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class BlockPoolTest {
  private static final long[] NOTHING = {};

  /** One group that keeps everything. */
  private static List<BlockPool.Wanted> full(int total) {
    return List.of(new BlockPool.Wanted(total, total));
  }

  private static int[] ids(Optional<BlockPool.Granted> granted) {
    return granted.orElseThrow().blocks().of(0);
  }

  @Test
  void acquire_neverGivesTheNullBlock() {
    BlockPool pool = new BlockPool(4);
    assertThat(ids(pool.acquire(full(3), NOTHING, 0))).containsExactly(1, 2, 3);
    assertThat(pool.acquire(full(1), NOTHING, 0)).isEmpty();
  }

  @Test
  void acquire_publishedAndFreed_isFoundAgain() {
    BlockPool pool = new BlockPool(4);
    int[] first = ids(pool.acquire(full(2), NOTHING, 0));
    pool.publish(first[0], 0, 11);
    pool.publish(first[1], 0, 22);
    pool.release(first);
    BlockPool.Granted again = pool.acquire(full(3), new long[] {11, 22}, 2).orElseThrow();
    assertThat(again.hits()).isEqualTo(2);
    assertThat(again.blocks().of(0)).startsWith(first[0], first[1]).doesNotHaveDuplicates();
    assertThat(pool.freeBlocks()).isZero();
  }

  @Test
  void acquire_sharedPrefix_isUsedTwiceAndFreedOnce() {
    BlockPool pool = new BlockPool(4);
    int[] first = ids(pool.acquire(full(1), NOTHING, 0));
    pool.publish(first[0], 0, 11);
    int[] second = ids(pool.acquire(full(1), new long[] {11}, 1));
    assertThat(second).isEqualTo(first);
    pool.release(first);
    assertThat(pool.usedBlocks()).isEqualTo(1);
    pool.release(second);
    assertThat(pool.usedBlocks()).isZero();
  }

  @Test
  void acquire_hitsAloneAreNotEnough_changesNothing() {
    BlockPool pool = new BlockPool(3);
    int[] first = ids(pool.acquire(full(1), NOTHING, 0));
    pool.publish(first[0], 0, 11);
    pool.release(first);
    // One cached block and one free one: three blocks are one too many.
    assertThat(pool.acquire(full(3), new long[] {11}, 1)).isEmpty();
    assertThat(pool.freeBlocks()).isEqualTo(2);
  }

  @Test
  void acquire_blockHandedOutAnew_isNoLongerFound() {
    BlockPool pool = new BlockPool(2);
    int[] first = ids(pool.acquire(full(1), NOTHING, 0));
    pool.publish(first[0], 0, 11);
    pool.release(first);
    pool.release(ids(pool.acquire(full(1), NOTHING, 0)));
    assertThat(pool.acquire(full(1), new long[] {11}, 1).orElseThrow().hits()).isZero();
  }

  @Test
  void release_twice_isRefused() {
    BlockPool pool = new BlockPool(3);
    int[] ids = ids(pool.acquire(full(1), NOTHING, 0));
    pool.release(ids);
    assertThatThrownBy(() -> pool.release(ids)).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void acquire_windowHasPassed_needsOnlyWhatItReaches() {
    BlockPool pool = new BlockPool(20);
    List<BlockPool.Wanted> groups = List.of(new BlockPool.Wanted(4, 1), new BlockPool.Wanted(4, 4));
    long[] prefixes = {11, 22, 33, 44};
    GroupBlocks first = pool.acquire(groups, prefixes, 4).orElseThrow().blocks();
    for (int i = 0; i < 3; i++) {
      pool.publish(first.of(1)[i], 1, prefixes[i]);
    }
    // Of the window's group only the last of them was ever published.
    pool.publish(first.of(0)[2], 0, prefixes[2]);
    pool.release(first.all());

    BlockPool.Granted again = pool.acquire(groups, prefixes, 4).orElseThrow();

    assertThat(again.hits()).isEqualTo(3);
    assertThat(again.blocks().of(0)).startsWith(0, 0, first.of(0)[2]);
    assertThat(again.blocks().of(1)).startsWith(first.of(1)[0], first.of(1)[1], first.of(1)[2]);
    assertThat(pool.usedBlocks()).isEqualTo(again.blocks().all().length).isEqualTo(6);
    pool.release(again.blocks().all());
    assertThat(pool.usedBlocks()).isZero();
  }

  @Test
  void acquire_oneGroupLacksABlock_goesBackToWhereAllHaveThem() {
    BlockPool pool = new BlockPool(20);
    List<BlockPool.Wanted> groups = List.of(new BlockPool.Wanted(3, 1), new BlockPool.Wanted(3, 3));
    long[] prefixes = {11, 22, 33};
    GroupBlocks first = pool.acquire(groups, prefixes, 3).orElseThrow().blocks();
    pool.publish(first.of(0)[1], 0, prefixes[1]);
    for (int i = 0; i < 3; i++) {
      pool.publish(first.of(1)[i], 1, prefixes[i]);
    }
    pool.release(first.all());

    assertThat(pool.acquire(groups, prefixes, 3).orElseThrow().hits()).isEqualTo(2);
  }
}
