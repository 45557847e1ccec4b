package dev.millrace.simulator.cache;

import java.util.Arrays;

/**
 * The ids of a sequence's blocks, per KV-cache group, in the order of the sequence. Id 0 is the
 * null block: it stands where a sliding window has passed.
 */
public final class GroupBlocks {
  private final int[][] ids;

  private GroupBlocks(int[][] ids) {
    this.ids = ids;
  }

  /** Blocks of groups. */
  public static GroupBlocks of(int[]... ids) {
    return new GroupBlocks(Arrays.stream(ids).map(int[]::clone).toArray(int[][]::new));
  }

  /** Number of groups. */
  public int groups() {
    return ids.length;
  }

  /** The ids of a group, null blocks included. */
  public int[] of(int group) {
    return ids[group].clone();
  }

  /** The {@code index}-th block of a group. */
  int id(int group, int index) {
    return ids[group][index];
  }

  /** All blocks that are there. */
  public int[] all() {
    return Arrays.stream(ids).flatMapToInt(Arrays::stream).filter(id -> id != 0).toArray();
  }
}
