package dev.millrace.transfer.agent;

import dev.millrace.layout.Axis;
import dev.millrace.layout.AxisName;
import dev.millrace.layout.BlockTable;
import dev.millrace.layout.Geometry;
import dev.millrace.layout.Rank;
import dev.millrace.layout.Region;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;
import java.util.function.Function;

/** Reads a cache element by element, without plans and runs. */
public final class Elements {
  private final Geometry geometry;
  private final int group;
  private final BlockTable table;
  private final Function<Rank, MemorySegment> memory;

  public Elements(Geometry geometry, BlockTable table, Function<Rank, MemorySegment> memory) {
    this(geometry, 0, table, memory);
  }

  /** The same for one of several KV-cache groups. */
  public Elements(
      Geometry geometry, int group, BlockTable table, Function<Rank, MemorySegment> memory) {
    this.geometry = geometry;
    this.group = group;
    this.table = table;
    this.memory = memory;
  }

  /** The two bytes of an element, from the first rank that has it. */
  public short at(int layer, int kv, int head, int token, int dim) {
    int block = table.id(token / geometry.blockSize() - table.firstBlock());
    Map<AxisName, Integer> wanted =
        Map.of(
            AxisName.LAYER, layer,
            AxisName.KV, kv,
            AxisName.HEAD, head,
            AxisName.TOKEN, token % geometry.blockSize(),
            AxisName.DIM, dim);
    for (Rank rank : geometry.ranks()) {
      for (Region region : rank.regions().get(group)) {
        if (region.axes().stream()
            .allMatch(
                axis -> axis.first() <= index(wanted, axis) && index(wanted, axis) < axis.end())) {
          long address = region.baseAddress() + block * region.blockStrideBytes();
          for (Axis axis : region.axes()) {
            address += (index(wanted, axis) - axis.first()) * axis.strideBytes();
          }
          MemorySegment of = memory.apply(rank);
          return of.get(ValueLayout.JAVA_SHORT_UNALIGNED, address - of.address());
        }
      }
    }
    throw new AssertionError("nobody has layer " + layer + ", head " + head);
  }

  private static int index(Map<AxisName, Integer> wanted, Axis axis) {
    return wanted.getOrDefault(axis.name(), -1);
  }
}
