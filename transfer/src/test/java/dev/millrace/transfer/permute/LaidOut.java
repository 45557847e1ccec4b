package dev.millrace.transfer.permute;

import dev.millrace.layout.Allocation;
import dev.millrace.layout.Geometry;
import dev.millrace.layout.GeometrySpec;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * An engine's cache in memory of this process, all ranks in one piece.
 *
 * @param geometry with the addresses of the memory
 */
record LaidOut(Geometry geometry, MemorySegment memory) {

  static LaidOut of(Arena arena, GeometrySpec spec) {
    List<long[]> offsets = new ArrayList<>();
    long size = 0;
    for (int p = 0; p < spec.parallelism().pipeline(); p++) {
      for (int t = 0; t < spec.parallelism().tensor(); t++) {
        List<Allocation> allocations = spec.allocations(p, t);
        long[] offset = new long[allocations.size()];
        for (int i = 0; i < offset.length; i++) {
          offset[i] = size;
          size += allocations.get(i).bytes();
        }
        offsets.add(offset);
      }
    }
    MemorySegment memory = arena.allocate(size, 4096);
    long start = memory.address();
    int ranks = spec.parallelism().tensor();
    return new LaidOut(
        spec.geometry((p, t, allocation) -> start + offsets.get(p * ranks + t)[allocation]),
        memory);
  }
}
