package dev.millrace.layout;

import java.util.List;

/** A region with its axes at hand. */
record Box(Region region, Axis layer, Axis kv, Axis head, Axis token, Axis dim) {

  static Box of(Region region) {
    return new Box(
        region,
        region.axis(AxisName.LAYER),
        region.axis(AxisName.KV),
        region.axis(AxisName.HEAD),
        region.axis(AxisName.TOKEN),
        region.axis(AxisName.DIM));
  }

  static List<Box> of(List<Region> regions) {
    return regions.stream().map(Box::of).toList();
  }

  /** Elements that the region keeps of one token. */
  long elementsPerToken() {
    return (long) layer.extent() * kv.extent() * head.extent() * dim.extent();
  }

  /**
   * Whether block {@code b} of both regions lies in the same stretch of memory, so that a run may
   * cross from one to the other. Runs never cross from one allocation to the next, even where the
   * two happen to be neighbours: they are registered apart.
   */
  boolean sharesBlocksWith(Box other) {
    long stride = region.blockStrideBytes();
    return stride == other.region.blockStrideBytes()
        && Math.abs(region.baseAddress() - other.region.baseAddress()) < stride;
  }
}
