package dev.millrace.transfer.agent;

import dev.millrace.layout.Allocation;
import dev.millrace.layout.Geometry;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Parallelism;
import dev.millrace.layout.TransferPlan;
import dev.millrace.layout.ZeroCursor;
import dev.millrace.transfer.BlockTransport;
import dev.millrace.transfer.Registration;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/**
 * Memory that is laid out as the cache of one engine, all its ranks one after the other, and
 * registered in one piece. Which blocks are free is guarded by {@link Memory}.
 */
final class Slab {
  private static final long ALIGNMENT_BYTES = 4096;

  /** What slabs are told apart by. */
  record Kind(ModelShape model, TargetShape target) {
    GeometrySpec spec(int blocks) {
      return new GeometrySpec(
          model,
          Parallelism.tensor(target.tensorParallel()),
          target.blockSize(),
          target.layout(),
          blocks);
    }

    /** Bytes that one block id takes, in all ranks. */
    long blockBytes() {
      GeometrySpec spec = spec(1);
      long bytes = 0;
      for (int t = 0; t < target.tensorParallel(); t++) {
        for (Allocation allocation : spec.allocations(0, t)) {
          bytes = Math.addExact(bytes, allocation.blockBytes());
        }
      }
      return bytes;
    }
  }

  /** A tensor: its offset in the slab, and its block's size. */
  private record Tensor(long offset, long blockBytes) {}

  private final Kind kind;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment memory;
  private final Geometry geometry;
  private final Registration registration;
  private final List<Tensor> tensors = new ArrayList<>();
  private final BitSet free;
  private final int blocks;

  Slab(Kind kind, int blocks, BlockTransport transport) {
    this.kind = kind;
    this.blocks = blocks;
    GeometrySpec spec = kind.spec(blocks);
    List<long[]> offsets = new ArrayList<>();
    long size = 0;
    for (int t = 0; t < kind.target().tensorParallel(); t++) {
      List<Allocation> allocations = spec.allocations(0, t);
      long[] offset = new long[allocations.size()];
      for (int i = 0; i < offset.length; i++) {
        offset[i] = size;
        tensors.add(new Tensor(size, allocations.get(i).blockBytes()));
        size += aligned(allocations.get(i).bytes());
      }
      offsets.add(offset);
    }
    try {
      memory = arena.allocate(size, ALIGNMENT_BYTES);
      long start = memory.address();
      geometry =
          spec.geometry((pipeline, tensor, allocation) -> start + offsets.get(tensor)[allocation]);
      registration = transport.register(memory);
    } catch (RuntimeException | OutOfMemoryError e) {
      arena.close();
      throw e;
    }
    free = new BitSet(blocks);
    free.set(0, blocks);
  }

  /** Bytes that a slab of so many blocks takes, padding included. */
  static long bytes(Kind kind, int blocks) {
    GeometrySpec spec = kind.spec(blocks);
    long bytes = 0;
    for (int t = 0; t < kind.target().tensorParallel(); t++) {
      for (Allocation allocation : spec.allocations(0, t)) {
        bytes = Math.addExact(bytes, aligned(allocation.bytes()));
      }
    }
    return bytes;
  }

  private static long aligned(long bytes) {
    return Math.multiplyExact(Math.ceilDiv(bytes, ALIGNMENT_BYTES), ALIGNMENT_BYTES);
  }

  Kind kind() {
    return kind;
  }

  Geometry geometry() {
    return geometry;
  }

  MemorySegment memory() {
    return memory;
  }

  long bytes() {
    return memory.byteSize();
  }

  int freeBlocks() {
    return free.cardinality();
  }

  boolean isIdle() {
    return freeBlocks() == blocks;
  }

  /** Takes blocks that are free; there must be as many. */
  List<Integer> take(int count) {
    List<Integer> taken = free.stream().limit(count).boxed().toList();
    taken.forEach(free::clear);
    return taken;
  }

  void giveBack(List<Integer> ids) {
    ids.forEach(free::set);
  }

  /** The pieces of memory that a block consists of. */
  List<MemorySegment> pieces(int id) {
    return tensors.stream()
        .map(each -> memory.asSlice(each.offset() + id * each.blockBytes(), each.blockBytes()))
        .toList();
  }

  /** So that nobody finds what an earlier copy left there. */
  void zero(List<Integer> ids) {
    for (int id : ids) {
      pieces(id).forEach(piece -> piece.fill((byte) 0));
    }
  }

  void zeroTail(TransferPlan plan) {
    for (ZeroCursor zero = plan.tail().cursor(); zero.next(); ) {
      memory.asSlice(zero.targetAddress() - memory.address(), zero.bytes()).fill((byte) 0);
    }
  }

  /** Unregisters and frees. Nobody may use it any more. */
  void close() {
    registration.close();
    arena.close();
  }
}
