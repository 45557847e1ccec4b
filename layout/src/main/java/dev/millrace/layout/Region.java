package dev.millrace.layout;

import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/**
 * A box of the index space in memory: block {@code b} starts at {@code baseAddress + b *
 * blockStrideBytes}, and element (i, j, …) of it lies at the sum of {@code (index - first) *
 * stride} over the axes.
 *
 * <p>A region says where elements are, not who allocated them: two regions may interleave in one
 * allocation (K and V of a block that keeps K transposed; groups that share tensors), as long as no
 * element of one overlaps one of the other at the same block id.
 *
 * @param name what it is, for people and for pairing with a peer's handshake (vLLM: the layer's
 *     name)
 * @param baseAddress address of block 0's first element, an unsigned 64-bit number
 * @param blocks number of blocks
 * @param blockStrideBytes distance between the starts of neighbouring blocks
 * @param axes the axes of an attention cache or those of a state ({@link AxisName}), outermost
 *     first
 */
public record Region(
    String name, long baseAddress, int blocks, long blockStrideBytes, List<Axis> axes) {
  private static final Set<AxisName> STATE =
      EnumSet.of(AxisName.LAYER, AxisName.CHANNEL, AxisName.DIM);
  private static final Set<AxisName> ATTENTION =
      EnumSet.of(AxisName.LAYER, AxisName.KV, AxisName.HEAD, AxisName.TOKEN, AxisName.DIM);

  public Region {
    axes = List.copyOf(axes);
    if (blocks < 1 || blockStrideBytes < 1) {
      throw new IllegalArgumentException(
          "region %s: blocks=%d (>= 1), blockStrideBytes=%d (>= 1)"
              .formatted(name, blocks, blockStrideBytes));
    }
    Set<AxisName> seen = EnumSet.noneOf(AxisName.class);
    axes.forEach(axis -> seen.add(axis.name()));
    if (axes.size() != seen.size() || !(seen.equals(ATTENTION) || seen.equals(STATE))) {
      throw new IllegalArgumentException(
          "region %s must have each axis once, those of %s or those of %s: %s"
              .formatted(name, ATTENTION, STATE, axes));
    }
  }

  /** Whether it holds states and not tokens. */
  public boolean isState() {
    return axes.size() == STATE.size();
  }

  /** The axis called {@code name}. */
  public Axis axis(AxisName name) {
    for (Axis axis : axes) {
      if (axis.name() == name) {
        return axis;
      }
    }
    throw new AssertionError(name);
  }

  /**
   * Whether block {@code b} of both regions lies in the same stretch of memory, so that a run may
   * cross from one to the other. Runs never cross from one allocation to the next, even where the
   * two happen to be neighbours: they are registered apart.
   */
  boolean sharesBlocksWith(Region other) {
    return blockStrideBytes == other.blockStrideBytes
        && Math.abs(baseAddress - other.baseAddress) < blockStrideBytes;
  }

  /**
   * The same box at another address: what a process makes of a description once it has allocated
   * memory.
   */
  public Region at(long address) {
    return new Region(name, address, blocks, blockStrideBytes, axes);
  }
}
