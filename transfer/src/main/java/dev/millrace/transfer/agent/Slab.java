package dev.millrace.transfer.agent;

import dev.millrace.layout.AddressBook;
import dev.millrace.layout.Allocation;
import dev.millrace.layout.Geometry;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.IncompatibleGeometry;
import dev.millrace.layout.Layout;
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
 * registered in one piece. Which ids are free is guarded by {@link Memory}.
 */
final class Slab {
  private static final long ALIGNMENT_BYTES = 4096;

  /** What slabs are told apart by. */
  record Kind(
      ModelShape model, Parallelism parallelism, int blockSize, Layout layout, int blocksPerId) {

    /** The same, refused where it does not go together. */
    static Kind asWanted(ModelShape model, TargetShape target) {
      try {
        Kind kind = of(model, target);
        // Building it once finds what does not go together.
        kind.spec(1).geometry();
        return kind;
      } catch (IncompatibleGeometry | IllegalArgumentException e) {
        throw new AgentRefusal(Reason.INVALID, "the target: " + e.getMessage());
      }
    }

    /** As an engine has it. */
    static Kind of(Geometry engine) {
      return new Kind(
          engine.model(),
          engine.parallelism(),
          engine.blockSize(),
          engine.layout(),
          engine.blocksPerId());
    }

    /** As a caller wants a copy. An id stands for no more blocks than it must. */
    private static Kind of(ModelShape model, TargetShape target) {
      Parallelism parallelism = Parallelism.tensor(target.tensorParallel());
      GeometrySpec one =
          new GeometrySpec(model, parallelism, target.blockSize(), target.layout(), 1);
      return new Kind(
          model, parallelism, target.blockSize(), target.layout(), one.leastBlocksPerId());
    }

    /**
     * A slab's geometry, but for addresses.
     *
     * @param ids block ids that it has
     */
    GeometrySpec spec(int ids) {
      return new GeometrySpec(
          model, parallelism, blockSize, layout, Math.multiplyExact(ids, blocksPerId), blocksPerId);
    }

    /** Bytes that one block id takes, in all ranks. */
    long idBytes() {
      return allocations(1).stream().mapToLong(Allocation::bytes).reduce(0, Math::addExact);
    }

    /** Of all ranks. */
    List<Allocation> allocations(int ids) {
      GeometrySpec spec = spec(ids);
      List<Allocation> all = new ArrayList<>();
      for (int t = 0; t < parallelism.tensor(); t++) {
        all.addAll(spec.allocations(0, t));
      }
      return all;
    }
  }

  /** A tensor: its offset in the slab, and the bytes of an id's blocks. */
  private record Tensor(long offset, long idBytes) {}

  private final Kind kind;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment memory;
  private final Geometry geometry;
  private final Registration registration;
  private final List<Tensor> tensors = new ArrayList<>();
  private final AddressBook addresses;
  private final BitSet free;
  private final int ids;

  /**
   * Allocates a slab.
   *
   * @param ids block ids that it has
   */
  Slab(Kind kind, int ids, BlockTransport transport) {
    this.kind = kind;
    this.ids = ids;
    GeometrySpec spec = kind.spec(ids);
    List<long[]> offsets = new ArrayList<>();
    long size = 0;
    for (int t = 0; t < kind.parallelism().tensor(); t++) {
      List<Allocation> allocations = spec.allocations(0, t);
      long[] offset = new long[allocations.size()];
      for (int i = 0; i < offset.length; i++) {
        offset[i] = size;
        tensors.add(new Tensor(size, allocations.get(i).blockBytes() * kind.blocksPerId()));
        size += aligned(allocations.get(i).bytes());
      }
      offsets.add(offset);
    }
    try {
      memory = arena.allocate(size, ALIGNMENT_BYTES);
      long start = memory.address();
      addresses = (pipeline, tensor, allocation) -> start + offsets.get(tensor)[allocation];
      geometry = spec.geometry(addresses);
      registration = transport.register(memory);
    } catch (RuntimeException | OutOfMemoryError e) {
      arena.close();
      throw e;
    }
    free = new BitSet(ids);
    free.set(0, ids);
  }

  /** Bytes that a slab of so many ids takes, padding included. */
  static long bytes(Kind kind, int ids) {
    return kind.allocations(ids).stream()
        .mapToLong(allocation -> aligned(allocation.bytes()))
        .reduce(0, Math::addExact);
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

  /** Where its tensors lie. */
  AddressBook addresses() {
    return addresses;
  }

  /** Block ids that it has, taken or not. */
  int ids() {
    return ids;
  }

  MemorySegment memory() {
    return memory;
  }

  long bytes() {
    return memory.byteSize();
  }

  int freeIds() {
    return free.cardinality();
  }

  boolean isIdle() {
    return freeIds() == ids;
  }

  /** Takes ids that are free; there must be as many. */
  List<Integer> take(int count) {
    List<Integer> taken = free.stream().limit(count).boxed().toList();
    taken.forEach(free::clear);
    return taken;
  }

  void giveBack(List<Integer> taken) {
    taken.forEach(free::set);
  }

  /** The pieces of memory that an id stands for. */
  List<MemorySegment> pieces(int id) {
    return tensors.stream()
        .map(each -> memory.asSlice(each.offset() + id * each.idBytes(), each.idBytes()))
        .toList();
  }

  /** So that nobody finds what an earlier copy left there. */
  void zero(List<Integer> taken) {
    for (int id : taken) {
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
