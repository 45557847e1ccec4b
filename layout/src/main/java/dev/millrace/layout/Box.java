package dev.millrace.layout;

import java.util.List;

/**
 * A region with its axes at hand, by their role. Planning knows five roles; a state lacks two of
 * them, and its channels are dealt out as heads are.
 *
 * @param shard HEAD, or CHANNEL of a state: what tensor parallelism cuts
 * @param elementBytes size of one element
 */
record Box(Region region, Axis layer, Axis kv, Axis shard, Axis token, Axis dim, int elementBytes) {
  private static final Axis NO_KV = new Axis(AxisName.KV, 0, 1, 0);
  private static final Axis NO_TOKEN = new Axis(AxisName.TOKEN, 0, 1, 0);

  /** The regions of one KV-cache group. */
  static List<Box> of(List<Region> regions, CacheGroup group, ElementType element) {
    return regions.stream().map(region -> of(region, group, element)).toList();
  }

  private static Box of(Region region, CacheGroup group, ElementType element) {
    return switch (group) {
      case CacheGroup.StateSpace(List<Integer> layers, StateShape state) -> {
        Axis channels = region.axis(AxisName.CHANNEL);
        yield new Box(
            region,
            region.axis(AxisName.LAYER),
            NO_KV,
            channels,
            NO_TOKEN,
            region.axis(AxisName.DIM),
            state.partOf(channels.first()).element().bytes());
      }
      case CacheGroup.Full full -> ofAttention(region, element);
      case CacheGroup.SlidingWindow window -> ofAttention(region, element);
    };
  }

  private static Box ofAttention(Region region, ElementType element) {
    return new Box(
        region,
        region.axis(AxisName.LAYER),
        region.axis(AxisName.KV),
        region.axis(AxisName.HEAD),
        region.axis(AxisName.TOKEN),
        region.axis(AxisName.DIM),
        element.bytes());
  }

  /** Bytes that the region keeps of one token, or of one state. */
  long bytesPerToken() {
    return (long) layer.extent() * kv.extent() * shard.extent() * dim.extent() * elementBytes;
  }
}
