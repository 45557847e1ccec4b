package dev.millrace.transfer.agent;

import dev.millrace.layout.Axis;
import dev.millrace.layout.AxisName;
import dev.millrace.layout.BlockTable;
import dev.millrace.layout.CacheGroup;
import dev.millrace.layout.Geometry;
import dev.millrace.layout.Rank;
import dev.millrace.layout.Region;
import dev.millrace.layout.StateShape;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
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

  /** The bytes of an element of two, from the first rank that has it. */
  public short at(int layer, int kv, int head, int token, int dim) {
    return (short) all(layer, kv, head, token, dim).getFirst().longValue();
  }

  /** An element as every rank has it that keeps it. */
  public List<Long> all(int layer, int kv, int head, int token, int dim) {
    int page = token / geometry.tokensPerId() - table.firstBlock();
    int block =
        table.id(page) * geometry.blocksPerId()
            + token % geometry.tokensPerId() / geometry.blockSize();
    return find(
        block,
        geometry.model().element().bytes(),
        Map.of(
            AxisName.LAYER, layer,
            AxisName.KV, kv,
            AxisName.HEAD, head,
            AxisName.TOKEN, token % geometry.blockSize(),
            AxisName.DIM, dim));
  }

  /** An element of the last state. */
  public long ofState(int layer, int channel, int dim) {
    if (geometry.model().groups().get(group)
        instanceof CacheGroup.StateSpace(List<Integer> _, StateShape state)) {
      return find(
              table.id(table.length() - 1),
              state.partOf(channel).element().bytes(),
              Map.of(AxisName.LAYER, layer, AxisName.CHANNEL, channel, AxisName.DIM, dim))
          .getFirst();
    }
    throw new AssertionError("no states in group " + group);
  }

  private List<Long> find(int block, int bytes, Map<AxisName, Integer> wanted) {
    List<Long> found = new ArrayList<>();
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
          found.add(read(of, address - of.address(), bytes));
        }
      }
    }
    if (found.isEmpty()) {
      throw new AssertionError("nobody has " + wanted);
    }
    return found;
  }

  private static long read(MemorySegment memory, long offset, int bytes) {
    long value = 0;
    for (int i = 0; i < bytes; i++) {
      value |= (memory.get(ValueLayout.JAVA_BYTE, offset + i) & 0xffL) << (8 * i);
    }
    return value;
  }

  private static int index(Map<AxisName, Integer> wanted, Axis axis) {
    return wanted.getOrDefault(axis.name(), -1);
  }
}
