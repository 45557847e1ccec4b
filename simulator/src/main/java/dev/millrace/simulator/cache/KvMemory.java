package dev.millrace.simulator.cache;

import dev.millrace.layout.AddressBook;
import dev.millrace.layout.Allocation;
import dev.millrace.layout.Axis;
import dev.millrace.layout.AxisName;
import dev.millrace.layout.CacheGroup;
import dev.millrace.layout.Geometry;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Rank;
import dev.millrace.layout.Region;
import dev.millrace.simulator.model.KvFunction;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/**
 * The KV bytes of an engine: one piece of off-heap memory per tensor-parallel rank, as each GPU has
 * its own.
 *
 * <p>Addresses come from the engine's {@link Geometry} alone. A rank is walked as <em>lanes</em>:
 * one per layer, KV part and head, with the strides that lead from token to token and from element
 * to element. Filling and digesting know nothing else, so every layout is the same code.
 *
 * <p>Calls for different blocks may run at the same time; calls for the same block are ordered by
 * whoever owns the sequence.
 */
public final class KvMemory {
  private static final long ALIGNMENT_BYTES = 4096;
  private static final ValueLayout.OfLong WORD =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt ELEMENT_4 =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort ELEMENT_2 =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final Arena arena = Arena.ofShared();
  private final GeometrySpec spec;
  private final Geometry geometry;
  private final List<MemorySegment> memories;
  private final AddressBook addresses;
  private final List<List<Lane>> lanes;
  private final int headBytes;
  private final int elementBytes;

  /** The vectors of one layer, KV part and head of a rank; offsets count from the rank's memory. */
  private record Lane(
      long offset,
      long blockStride,
      long tokenStride,
      long dimStride,
      int layer,
      int kv,
      int head,
      int ownHead) {}

  /**
   * Allocates the memory of all ranks.
   *
   * @throws IllegalArgumentException if the engine has what the simulator does not simulate
   */
  public KvMemory(GeometrySpec spec) {
    if (spec.parallelism().pipeline() != 1 || spec.parallelism().decodeContext() != 1) {
      throw new IllegalArgumentException(
          "the simulator has tensor parallelism only, not " + spec.parallelism());
    }
    if (spec.model().groups().size() != 1
        || !(spec.model().groups().getFirst() instanceof CacheGroup.Full)) {
      throw new IllegalArgumentException(
          "the simulator has one KV-cache group with full attention, not " + spec.model().groups());
    }
    this.spec = spec;
    elementBytes = spec.model().element().bytes();
    headBytes = spec.model().headSize() * elementBytes;
    memories = new ArrayList<>();
    List<long[]> bases = new ArrayList<>();
    for (int t = 0; t < spec.parallelism().tensor(); t++) {
      List<Allocation> allocations = spec.allocations(0, t);
      long[] base = new long[allocations.size()];
      long size = 0;
      for (int i = 0; i < base.length; i++) {
        base[i] = size;
        size += Math.ceilDiv(allocations.get(i).bytes(), ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
      }
      MemorySegment memory = arena.allocate(size, ALIGNMENT_BYTES);
      for (int i = 0; i < base.length; i++) {
        base[i] += memory.address();
      }
      memories.add(memory);
      bases.add(base);
    }
    addresses = (pipeline, tensor, allocation) -> bases.get(tensor)[allocation];
    geometry = spec.geometry(addresses);
    lanes = geometry.ranks().stream().map(this::lanes).toList();
  }

  private List<Lane> lanes(Rank rank) {
    long start = memories.get(rank.tensor()).address();
    int firstHead = Integer.MAX_VALUE;
    for (Region region : rank.regions().getFirst()) {
      firstHead = Math.min(firstHead, region.axis(AxisName.HEAD).first());
    }
    List<Lane> found = new ArrayList<>();
    for (Region region : rank.regions().getFirst()) {
      Axis layers = region.axis(AxisName.LAYER);
      Axis parts = region.axis(AxisName.KV);
      Axis heads = region.axis(AxisName.HEAD);
      for (int layer = 0; layer < layers.extent(); layer++) {
        for (int kv = 0; kv < parts.extent(); kv++) {
          for (int head = 0; head < heads.extent(); head++) {
            found.add(
                new Lane(
                    region.baseAddress()
                        - start
                        + layer * layers.strideBytes()
                        + kv * parts.strideBytes()
                        + head * heads.strideBytes(),
                    region.blockStrideBytes(),
                    region.axis(AxisName.TOKEN).strideBytes(),
                    region.axis(AxisName.DIM).strideBytes(),
                    layers.first() + layer,
                    parts.first() + kv,
                    heads.first() + head,
                    heads.first() + head - firstHead));
          }
        }
      }
    }
    return found;
  }

  /** The engine's geometry with the addresses of this memory. */
  public Geometry geometry() {
    return geometry;
  }

  /** Where the allocations lie. */
  public AddressBook addresses() {
    return addresses;
  }

  /** What the memory was made from. */
  public GeometrySpec spec() {
    return spec;
  }

  /** The memory of a tensor-parallel rank. */
  public MemorySegment memory(int rank) {
    return memories.get(rank);
  }

  /** Number of tensor-parallel ranks. */
  public int ranks() {
    return memories.size();
  }

  /** Whether somebody may still write to a rank's memory. */
  public boolean mayBeWritten(int rank, Writers writers) {
    return writers.mayWrite(memories.get(rank));
  }

  /** Whether somebody may still write to a rank's share of these blocks. */
  boolean mayBeWritten(int rank, int[] blocks, Writers writers) {
    MemorySegment memory = memories.get(rank);
    List<Allocation> allocations = spec.allocations(0, rank);
    for (int i = 0; i < allocations.size(); i++) {
      long start = addresses.baseAddress(0, rank, i) - memory.address();
      long bytes = allocations.get(i).blockBytes();
      for (int block : blocks) {
        if (writers.mayWrite(memory.asSlice(start + block * bytes, bytes))) {
          return true;
        }
      }
    }
    return false;
  }

  /** An empty digest for this engine. */
  SequenceDigest newDigest() {
    int heads = spec.model().kvHeads();
    int ranks = ranks();
    return new SequenceDigest(heads, ranks, Math.max(1, heads / ranks));
  }

  /** Computes the KV vectors of tokens {@code [from, to)} on all ranks. */
  void compute(Sequence sequence, int from, int to) {
    for (int rank = 0; rank < ranks(); rank++) {
      MemorySegment memory = memories.get(rank);
      for (Lane lane : lanes.get(rank)) {
        for (int token = from; token < to; token++) {
          long seed = KvFunction.vectorSeed(sequence.prefix(token), lane.layer, lane.kv, lane.head);
          fill(memory, offset(lane, sequence, token), lane.dimStride, seed);
        }
      }
    }
  }

  /** Reads tokens {@code [from, to)} back from all ranks and adds them to {@code digest}. */
  void digest(Sequence sequence, int from, int to, SequenceDigest digest) {
    for (int rank = 0; rank < ranks(); rank++) {
      MemorySegment memory = memories.get(rank);
      for (Lane lane : lanes.get(rank)) {
        long sum = 0;
        for (int token = from; token < to; token++) {
          long seed = KvFunction.digestSeed(token, lane.layer, lane.kv, lane.head);
          sum += digest(memory, offset(lane, sequence, token), lane.dimStride, seed);
        }
        digest.add(rank, lane.ownHead, sum);
      }
    }
  }

  /** Zeroes tokens {@code [from, to)}, which must lie in the sequence's blocks, on all ranks. */
  void zero(Sequence sequence, int from, int to) {
    byte[] zeros = new byte[headBytes];
    for (int rank = 0; rank < ranks(); rank++) {
      for (Lane lane : lanes.get(rank)) {
        for (int token = from; token < to; token++) {
          scatter(rank, lane, offset(lane, sequence, token), zeros);
        }
      }
    }
  }

  /** Gives token {@code target} the bytes of token {@code source} on all ranks. */
  void copyToken(Sequence sequence, int source, int target) {
    byte[] vector = new byte[headBytes];
    for (int rank = 0; rank < ranks(); rank++) {
      for (Lane lane : lanes.get(rank)) {
        gather(rank, lane, offset(lane, sequence, source), vector);
        scatter(rank, lane, offset(lane, sequence, target), vector);
      }
    }
  }

  /** Flips a bit of one byte of a token: the last byte of its last lane on the last rank. */
  void corrupt(Sequence sequence, int token) {
    int rank = ranks() - 1;
    Lane lane = lanes.get(rank).getLast();
    byte[] vector = new byte[headBytes];
    gather(rank, lane, offset(lane, sequence, token), vector);
    vector[headBytes - 1] ^= 1;
    scatter(rank, lane, offset(lane, sequence, token), vector);
  }

  /**
   * Frees the memory; nobody may use it any more, transports included.
   *
   * @return number of bytes freed
   */
  public long free() {
    long bytes = memories.stream().mapToLong(MemorySegment::byteSize).sum();
    arena.close();
    return bytes;
  }

  private long offset(Lane lane, Sequence sequence, int token) {
    return lane.offset
        + sequence.block(token) * lane.blockStride
        + (token % spec.blockSize()) * lane.tokenStride;
  }

  private void fill(MemorySegment memory, long offset, long dimStride, long seed) {
    if (dimStride == elementBytes && headBytes % Long.BYTES == 0) {
      for (int i = 0; i < headBytes / Long.BYTES; i++) {
        memory.set(WORD, offset + (long) i * Long.BYTES, KvFunction.word(seed, i));
      }
      return;
    }
    int perWord = Long.BYTES / elementBytes;
    long word = 0;
    for (int i = 0; i < headBytes / elementBytes; i++) {
      if (i % perWord == 0) {
        word = KvFunction.word(seed, i / perWord);
      }
      setElement(memory, offset + i * dimStride, word);
      word >>>= elementBytes * 8;
    }
  }

  private long digest(MemorySegment memory, long offset, long dimStride, long seed) {
    long digest = seed;
    if (dimStride == elementBytes && headBytes % Long.BYTES == 0) {
      for (int i = 0; i < headBytes / Long.BYTES; i++) {
        digest = KvFunction.absorb(digest, memory.get(WORD, offset + (long) i * Long.BYTES));
      }
      return KvFunction.finish(digest);
    }
    int perWord = Long.BYTES / elementBytes;
    int elements = headBytes / elementBytes;
    for (int i = 0; i < elements; i += perWord) {
      long word = 0;
      for (int k = 0; k < Math.min(perWord, elements - i); k++) {
        word |= getElement(memory, offset + (i + k) * dimStride) << (k * elementBytes * 8);
      }
      digest = KvFunction.absorb(digest, word);
    }
    return KvFunction.finish(digest);
  }

  private void setElement(MemorySegment memory, long offset, long bits) {
    switch (elementBytes) {
      case 1 -> memory.set(ValueLayout.JAVA_BYTE, offset, (byte) bits);
      case 2 -> memory.set(ELEMENT_2, offset, (short) bits);
      case 4 -> memory.set(ELEMENT_4, offset, (int) bits);
      default -> throw new AssertionError(elementBytes);
    }
  }

  private long getElement(MemorySegment memory, long offset) {
    return switch (elementBytes) {
      case 1 -> memory.get(ValueLayout.JAVA_BYTE, offset) & 0xFFL;
      case 2 -> memory.get(ELEMENT_2, offset) & 0xFFFFL;
      case 4 -> memory.get(ELEMENT_4, offset) & 0xFFFF_FFFFL;
      default -> throw new AssertionError(elementBytes);
    };
  }

  private void gather(int rank, Lane lane, long offset, byte[] vector) {
    for (int i = 0; i < headBytes; i++) {
      long at = offset + (i / elementBytes) * lane.dimStride + i % elementBytes;
      vector[i] = memories.get(rank).get(ValueLayout.JAVA_BYTE, at);
    }
  }

  private void scatter(int rank, Lane lane, long offset, byte[] vector) {
    for (int i = 0; i < headBytes; i++) {
      long at = offset + (i / elementBytes) * lane.dimStride + i % elementBytes;
      memories.get(rank).set(ValueLayout.JAVA_BYTE, at, vector[i]);
    }
  }
}
