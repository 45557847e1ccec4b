package dev.millrace.layout;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * The regions of a rank that share the blocks an address lies in, and what stands at an offset of
 * such a block: the inverse of a region's map from indices to bytes.
 */
record RegionsInBlock(List<Region> regions, long base, long blockBytes) {

  /** The regions around an address, of the first KV-cache group that has any there. */
  static RegionsInBlock at(Rank rank, long address) {
    for (List<Region> group : rank.regions()) {
      for (Region region : group) {
        long offset = address - region.baseAddress();
        if (!region.isState()
            && offset >= 0
            && offset < region.blocks() * region.blockStrideBytes()) {
          return around(group, region);
        }
      }
    }
    throw new AssertionError("no region at " + Long.toHexString(address));
  }

  private static RegionsInBlock around(List<Region> group, Region region) {
    List<Region> sharing = new ArrayList<>();
    long base = region.baseAddress();
    for (Region other : group) {
      if (other.sharesBlocksWith(region)) {
        sharing.add(other);
        base = Long.compareUnsigned(other.baseAddress(), base) < 0 ? other.baseAddress() : base;
      }
    }
    return new RegionsInBlock(sharing, base, region.blockStrideBytes());
  }

  String name() {
    return regions.getFirst().name();
  }

  /** Says which indices the bytes {@code [from, to)} of block {@code block} of a sequence hold. */
  String describe(long from, long to, int block, ModelShape model) {
    Map<AxisName, Integer> first = indices(from);
    Map<AxisName, Integer> last = indices(to - model.element().bytes());
    List<String> words = new ArrayList<>();
    first.forEach((axis, a) -> {
      int b = last.getOrDefault(axis, a);
      words.add(words(axis, Math.min(a, b), Math.max(a, b), block, model));
    });
    words.removeIf(String::isEmpty);
    return String.join(", ", words);
  }

  private String words(AxisName axis, int low, int high, int block, ModelShape model) {
    int extent = regions.getFirst().axis(axis).extent();
    return switch (axis) {
      case LAYER -> extent == 1 ? "" : range("layer", low, high);
      case KV -> model.isMla() || low < high ? "" : low == 0 ? "K" : "V";
      case HEAD -> model.isMla() ? "" : range("head", low, high);
      case TOKEN -> range("token", block * extent + low, block * extent + high);
      case DIM -> high - low + 1 == extent ? "" : range("dim", low, high);
      case CHANNEL -> throw new AssertionError("states are not drawn");
    };
  }

  private static String range(String what, int low, int high) {
    return low == high ? what + " " + low : what + " " + low + "-" + high;
  }

  private Map<AxisName, Integer> indices(long offset) {
    for (Region region : regions) {
      Map<AxisName, Integer> indices = invert(region, offset - (region.baseAddress() - base));
      if (!indices.isEmpty()) {
        return indices;
      }
    }
    throw new AssertionError("nothing at offset " + offset + " of " + name());
  }

  /** The indices of the element at an offset, or nothing if the region has none there. */
  private static Map<AxisName, Integer> invert(Region region, long offset) {
    Map<AxisName, Integer> indices = new EnumMap<>(AxisName.class);
    List<Axis> axes = new ArrayList<>(region.axes());
    axes.sort(Comparator.comparingLong(Axis::strideBytes).reversed());
    long rest = offset;
    for (Axis axis : axes) {
      long index = axis.extent() == 1 ? 0 : rest / axis.strideBytes();
      if (rest < 0 || index >= axis.extent()) {
        return Map.of();
      }
      indices.put(axis.name(), axis.first() + (int) index);
      rest -= index * axis.strideBytes();
    }
    return rest == 0 ? indices : Map.of();
  }
}
