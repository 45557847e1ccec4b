package dev.millrace.layout.compatibility;

import dev.millrace.layout.AxisName;
import dev.millrace.layout.Layout;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/**
 * What a block looks like to one rank: the axes that have more than one index, outermost first. Two
 * layouts are the same to a rank if their interiors are: with one head per rank it does not matter
 * on which side of the tokens heads stand.
 *
 * @param axes inside a block
 * @param tensors axes along which there is a tensor for each index, LAYER aside
 * @param transposed whether K is kept the other way round, over the whole block
 */
record Interior(List<AxisName> axes, Set<AxisName> tensors, boolean transposed) {

  /**
   * The interior of a layout.
   *
   * @param headsPerRank how many heads a rank has
   * @param kvParts 2 for K and V, 1 for a latent
   */
  static Interior of(Layout layout, int headsPerRank, int kvParts) {
    Set<AxisName> flat = EnumSet.noneOf(AxisName.class);
    if (headsPerRank == 1) {
      flat.add(AxisName.HEAD);
    }
    if (kvParts == 1) {
      flat.add(AxisName.KV);
    }
    List<AxisName> axes = layout.order().stream().filter(axis -> !flat.contains(axis)).toList();
    Set<AxisName> tensors = EnumSet.of(AxisName.KV, AxisName.HEAD);
    tensors.removeAll(flat);
    tensors.removeAll(layout.order());
    return new Interior(axes, tensors, layout == Layout.CPU_ATTENTION);
  }

  /** Whether the block of one layer is contiguous. */
  boolean isLayerContiguous() {
    return !axes.contains(AxisName.LAYER) || axes.getFirst() == AxisName.LAYER;
  }

  /** One layer of it, where {@link #isLayerContiguous}. */
  Interior ofOneLayer() {
    return new Interior(
        axes.stream().filter(axis -> axis != AxisName.LAYER).toList(), tensors, transposed);
  }

  /** Whether a block holds all layers. */
  boolean holdsAllLayers() {
    return axes.contains(AxisName.LAYER);
  }

  /** Whether a part of a block's tokens is contiguous. */
  boolean isTokenOutermost() {
    return axes.getFirst() == AxisName.TOKEN && !transposed;
  }
}
