package dev.millrace.simulator.cache;

import dev.millrace.layout.AddressBook;
import dev.millrace.layout.Allocation;
import dev.millrace.layout.Geometry;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Rank;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * The KV bytes of an engine: one piece of off-heap memory per tensor-parallel rank, as each GPU has
 * its own. Addresses come from the engine's {@link Geometry} alone; {@link TokenVectors} and {@link
 * LayerStates} fill them and read them back.
 *
 * <p>Calls for different blocks may run at the same time; calls for the same block are ordered by
 * whoever owns the sequence.
 */
public final class KvMemory {
  private static final long ALIGNMENT_BYTES = 4096;

  private final Arena arena = Arena.ofShared();
  private final GeometrySpec spec;
  private final Geometry geometry;
  private final List<MemorySegment> memories = new ArrayList<>();
  private final AddressBook addresses;
  private final List<TokenVectors> vectors = new ArrayList<>();
  private final List<LayerStates> states = new ArrayList<>();

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
    this.spec = spec;
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
    for (Rank rank : geometry.ranks()) {
      MemorySegment memory = memories.get(rank.tensor());
      vectors.add(new TokenVectors(memory, rank, spec));
      states.add(new LayerStates(memory, rank, spec));
    }
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
      long bytes = allocations.get(i).blockBytes() * spec.blocksPerId();
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

  /** Computes tokens {@code [from, to)} on all ranks. */
  void compute(Sequence sequence, int from, int to) {
    vectors.forEach(rank -> rank.compute(sequence, from, to));
    states.forEach(rank -> rank.advance(sequence, from, to));
  }

  /**
   * Reads back from all ranks what the token after {@code size} tokens may see.
   *
   * @param seen tokens, from the start, that {@code digest} already has of layers that see all
   */
  void digest(Sequence sequence, int seen, int size, SequenceDigest digest) {
    digest.begin();
    for (int rank = 0; rank < ranks(); rank++) {
      vectors.get(rank).digest(sequence, seen, size, rank, digest);
      states.get(rank).digest(sequence, digest);
    }
  }

  /** Zeroes tokens {@code [from, to)} on all ranks, as far as their blocks are there. */
  void zero(Sequence sequence, int from, int to) {
    vectors.forEach(rank -> rank.zero(sequence, from, to));
  }

  /** Gives token {@code target} the bytes of token {@code source} on all ranks. */
  void copyToken(Sequence sequence, int source, int target) {
    vectors.forEach(rank -> rank.copyToken(sequence, source, target));
  }

  /** Flips a bit of one byte of a token, on the last rank. */
  void corrupt(Sequence sequence, int token) {
    vectors.getLast().corrupt(sequence, token);
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
}
