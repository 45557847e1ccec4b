package dev.millrace.transfer.agent;

import dev.millrace.layout.AddressBook;
import dev.millrace.layout.Axis;
import dev.millrace.layout.BlockTable;
import dev.millrace.layout.CacheGroup;
import dev.millrace.layout.Geometry;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.IncompatibleGeometry;
import dev.millrace.layout.Layout;
import dev.millrace.layout.Rank;
import dev.millrace.layout.Region;
import dev.millrace.layout.Rounding;
import dev.millrace.layout.RunCursor;
import dev.millrace.layout.SourceRead;
import dev.millrace.layout.TokenSpan;
import dev.millrace.layout.TransferPlan;
import dev.millrace.layout.TransferPlanner;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * An engine's memory, described as if it had another layout or smaller blocks.
 *
 * <p>What can be described so is not listed anywhere; it is proven. The described geometry is given
 * the addresses at which the engine has the same elements, as far as a base and a stride per tensor
 * can say that. If then every run of a plan from the one to the other has the same address on both
 * sides, the two are the same memory: one layer of a cross-layer block, parts of a block whose
 * tokens are outermost, or an order of axes that makes no difference.
 */
record Redescription(GeometrySpec spec, AddressBook addresses, int blocksPerBlock) {

  /** Far apart, so that an address tells its allocation. */
  private static final int ALLOCATION_BITS = 40;

  private static final AddressBook NUMBERED =
      (pipeline, tensor, allocation) -> (long) (allocation + 1) << ALLOCATION_BITS;

  /**
   * The engine's memory in another engine's terms; empty if it cannot be described so.
   *
   * @param blockSize tokens per block; the engine's own is a multiple of it
   */
  static Optional<Redescription> of(Geometry engine, Layout layout, int blockSize) {
    boolean samePages = blockSize == engine.blockSize() || engine.blocksPerId() == 1;
    if (engine.blockSize() % blockSize != 0 || !samePages) {
      return Optional.empty();
    }
    int parts = engine.blockSize() / blockSize;
    try {
      GeometrySpec spec =
          new GeometrySpec(
              engine.model(),
              engine.parallelism(),
              blockSize,
              layout,
              Math.multiplyExact(blocks(engine), parts),
              engine.blocksPerId());
      Optional<AddressBook> addresses = addresses(engine, spec, parts);
      return addresses
          .filter(book -> isSameMemory(engine, spec.geometry(book), parts))
          .map(book -> new Redescription(spec, book, parts));
    } catch (IncompatibleGeometry | IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  private static int blocks(Geometry engine) {
    return engine.rank(0, 0).regions().stream()
        .flatMap(List::stream)
        .mapToInt(
            region -> region.isState() ? region.blocks() * engine.blocksPerId() : region.blocks())
        .findFirst()
        .orElseThrow();
  }

  /** Block ids that stand for these of the engine's. */
  List<BlockTable> split(List<BlockTable> tables) {
    return tables.stream().map(table -> table.split(blocksPerBlock)).toList();
  }

  private record Place(int pipeline, int tensor, int allocation) {}

  private record Where(long base, long stride) {}

  /** For each tensor of the described geometry, where the engine has its first element. */
  private static Optional<AddressBook> addresses(Geometry engine, GeometrySpec spec, int parts) {
    Map<Place, Where> found = new HashMap<>();
    for (Rank described : spec.geometry(NUMBERED).ranks()) {
      Rank own = engine.rank(described.pipeline(), described.tensor());
      for (int group = 0; group < described.regions().size(); group++) {
        for (Region region : described.regions().get(group)) {
          Optional<Region> holder = holder(region, own.regions().get(group));
          if (holder.isEmpty()) {
            return Optional.empty();
          }
          int allocation = (int) (region.baseAddress() >>> ALLOCATION_BITS) - 1;
          long offset = region.baseAddress() & ((1L << ALLOCATION_BITS) - 1);
          found.putIfAbsent(
              new Place(described.pipeline(), described.tensor(), allocation),
              new Where(
                  addressOf(region, holder.get()) - offset,
                  holder.get().blockStrideBytes() / parts));
        }
      }
    }
    return Optional.of(
        new AddressBook() {
          @Override
          public long baseAddress(int pipeline, int tensor, int allocation) {
            return where(pipeline, tensor, allocation).base();
          }

          @Override
          public long blockStrideBytes(int pipeline, int tensor, int allocation, long blockBytes) {
            return where(pipeline, tensor, allocation).stride();
          }

          private Where where(int pipeline, int tensor, int allocation) {
            Where where = found.get(new Place(pipeline, tensor, allocation));
            if (where == null) {
              throw new IncompatibleGeometry("no element of tensor " + allocation + " is known");
            }
            return where;
          }
        });
  }

  /** The region that has another one's first element. */
  private static Optional<Region> holder(Region described, List<Region> own) {
    return own.stream()
        .filter(region ->
            region.isState() == described.isState()
                && described.axes().stream()
                    .allMatch(axis -> {
                      Axis other = region.axis(axis.name());
                      return other.first() <= axis.first() && axis.first() < other.end();
                    }))
        .findFirst();
  }

  private static long addressOf(Region described, Region holder) {
    long address = holder.baseAddress();
    for (Axis axis : described.axes()) {
      Axis other = holder.axis(axis.name());
      address += (axis.first() - other.first()) * other.strideBytes();
    }
    return address;
  }

  /** Whether a sequence in the first, the second and the last block lies where it lies. */
  private static boolean isSameMemory(Geometry engine, Geometry described, int parts) {
    TransferPlanner planner = new TransferPlanner(engine, described);
    int ids = blocks(engine) / engine.blocksPerId();
    int[] sample = ids < 3 ? new int[] {ids - 1} : new int[] {0, 1, ids - 1};
    List<BlockTable> from = new ArrayList<>();
    List<BlockTable> to = new ArrayList<>();
    for (CacheGroup group : engine.model().groups()) {
      BlockTable table =
          group instanceof CacheGroup.StateSpace
              ? BlockTable.of(sample[sample.length - 1])
              : BlockTable.of(sample);
      from.add(table);
      to.add(table.split(parts));
    }
    TokenSpan span = new TokenSpan(0, sample.length * engine.tokensPerId());
    for (Rank rank : described.ranks()) {
      TransferPlan plan = planner.plan(rank, from, to, span, Rounding.EXACT);
      for (SourceRead read : plan.reads()) {
        for (RunCursor run = read.cursor(); run.next(); ) {
          if (run.sourceAddress() != run.targetAddress()) {
            return false;
          }
        }
      }
    }
    return true;
  }
}
