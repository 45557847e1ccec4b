package dev.millrace.simulator.cache;

import dev.millrace.layout.Axis;
import dev.millrace.layout.AxisName;
import dev.millrace.layout.CacheGroup;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Rank;
import dev.millrace.layout.Region;
import dev.millrace.simulator.model.KvFunction;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/**
 * The KV vectors that a rank keeps of attention layers, walked as <em>lanes</em>: one per layer, KV
 * part and head, with the strides that lead from token to token and from element to element.
 * Filling and digesting know nothing else, so every layout is the same code.
 */
final class TokenVectors {
  private final MemorySegment memory;
  private final GeometrySpec spec;
  private final int elementBytes;
  private final int headBytes;
  private final List<Lane> lanes = new ArrayList<>();

  /**
   * The vectors of one layer, KV part and head; offsets count from the rank's memory.
   *
   * @param group KV-cache group
   * @param window tokens that are looked back upon, {@link Integer#MAX_VALUE} for all
   * @param layer number in the model
   * @param ownHead number of the head in this rank
   */
  private record Lane(
      int group,
      int window,
      long offset,
      long blockStride,
      long tokenStride,
      long dimStride,
      int layer,
      int kv,
      int head,
      int ownHead) {}

  TokenVectors(MemorySegment memory, Rank rank, GeometrySpec spec) {
    this.memory = memory;
    this.spec = spec;
    this.elementBytes = spec.model().element().bytes();
    this.headBytes = spec.model().headSize() * elementBytes;
    for (int group = 0; group < rank.regions().size(); group++) {
      CacheGroup kind = spec.model().groups().get(group);
      switch (kind) {
        case CacheGroup.Full full -> add(group, kind, Integer.MAX_VALUE, rank);
        case CacheGroup.SlidingWindow window -> add(group, kind, window.windowTokens(), rank);
        case CacheGroup.StateSpace states -> {}
      }
    }
  }

  private void add(int group, CacheGroup kind, int window, Rank rank) {
    int firstHead = Integer.MAX_VALUE;
    for (Region region : rank.regions().get(group)) {
      firstHead = Math.min(firstHead, region.axis(AxisName.HEAD).first());
    }
    for (Region region : rank.regions().get(group)) {
      Axis layers = region.axis(AxisName.LAYER);
      Axis parts = region.axis(AxisName.KV);
      Axis heads = region.axis(AxisName.HEAD);
      for (int layer = 0; layer < layers.extent(); layer++) {
        for (int kv = 0; kv < parts.extent(); kv++) {
          for (int head = 0; head < heads.extent(); head++) {
            lanes.add(
                new Lane(
                    group,
                    window,
                    region.baseAddress()
                        - memory.address()
                        + layer * layers.strideBytes()
                        + kv * parts.strideBytes()
                        + head * heads.strideBytes(),
                    region.blockStrideBytes(),
                    region.axis(AxisName.TOKEN).strideBytes(),
                    region.axis(AxisName.DIM).strideBytes(),
                    kind.layers().get(layers.first() + layer),
                    parts.first() + kv,
                    heads.first() + head,
                    heads.first() + head - firstHead));
          }
        }
      }
    }
  }

  /** Computes the vectors of tokens {@code [from, to)}. */
  void compute(Sequence sequence, int from, int to) {
    for (Lane lane : lanes) {
      for (int token = from; token < to; token++) {
        long seed = KvFunction.vectorSeed(sequence.prefix(token), lane.layer, lane.kv, lane.head);
        fill(offset(lane, sequence, token), lane.dimStride, seed);
      }
    }
  }

  /**
   * Reads back what the token after {@code size} tokens may see.
   *
   * @param seen tokens, from the start, that the digest already has of layers that see all
   */
  void digest(Sequence sequence, int seen, int size, int rank, SequenceDigest digest) {
    for (Lane lane : lanes) {
      boolean seesAll = lane.window == Integer.MAX_VALUE;
      long sum = 0;
      for (int token = seesAll ? seen : Math.max(0, size - lane.window); token < size; token++) {
        long seed = KvFunction.digestSeed(token, lane.layer, lane.kv, lane.head);
        sum += digest(offset(lane, sequence, token), lane.dimStride, seed);
      }
      if (seesAll) {
        digest.add(rank, lane.ownHead, sum);
      } else {
        digest.addInWindow(rank, lane.ownHead, sum);
      }
    }
  }

  /** Zeroes tokens {@code [from, to)}, as far as their blocks are there. */
  void zero(Sequence sequence, int from, int to) {
    byte[] zeros = new byte[headBytes];
    for (Lane lane : lanes) {
      for (int token = from; token < to; token++) {
        if (sequence.has(lane.group, token)) {
          scatter(lane, offset(lane, sequence, token), zeros);
        }
      }
    }
  }

  /** Gives token {@code target} the bytes of token {@code source}, where both are there. */
  void copyToken(Sequence sequence, int source, int target) {
    byte[] vector = new byte[headBytes];
    for (Lane lane : lanes) {
      if (sequence.has(lane.group, source) && sequence.has(lane.group, target)) {
        gather(lane, offset(lane, sequence, source), vector);
        scatter(lane, offset(lane, sequence, target), vector);
      }
    }
  }

  /** Flips a bit of one byte of a token: the last byte of its last lane. */
  void corrupt(Sequence sequence, int token) {
    Lane lane = lanes.getLast();
    byte[] vector = new byte[headBytes];
    gather(lane, offset(lane, sequence, token), vector);
    vector[headBytes - 1] ^= 1;
    scatter(lane, offset(lane, sequence, token), vector);
  }

  private long offset(Lane lane, Sequence sequence, int token) {
    return lane.offset
        + sequence.kernelBlock(lane.group, token) * lane.blockStride
        + (token % spec.blockSize()) * lane.tokenStride;
  }

  private void fill(long offset, long dimStride, long seed) {
    if (dimStride == elementBytes && headBytes % Long.BYTES == 0) {
      for (int i = 0; i < headBytes / Long.BYTES; i++) {
        memory.set(Elements.WORD, offset + (long) i * Long.BYTES, KvFunction.word(seed, i));
      }
      return;
    }
    int perWord = Long.BYTES / elementBytes;
    long word = 0;
    for (int i = 0; i < headBytes / elementBytes; i++) {
      if (i % perWord == 0) {
        word = KvFunction.word(seed, i / perWord);
      }
      Elements.set(memory, offset + i * dimStride, elementBytes, word);
      word >>>= elementBytes * 8;
    }
  }

  private long digest(long offset, long dimStride, long seed) {
    long digest = seed;
    if (dimStride == elementBytes && headBytes % Long.BYTES == 0) {
      for (int i = 0; i < headBytes / Long.BYTES; i++) {
        digest =
            KvFunction.absorb(digest, memory.get(Elements.WORD, offset + (long) i * Long.BYTES));
      }
      return KvFunction.finish(digest);
    }
    int perWord = Long.BYTES / elementBytes;
    int elements = headBytes / elementBytes;
    for (int i = 0; i < elements; i += perWord) {
      long word = 0;
      for (int k = 0; k < Math.min(perWord, elements - i); k++) {
        long element = Elements.get(memory, offset + (i + k) * dimStride, elementBytes);
        word |= element << (k * elementBytes * 8);
      }
      digest = KvFunction.absorb(digest, word);
    }
    return KvFunction.finish(digest);
  }

  private void gather(Lane lane, long offset, byte[] vector) {
    for (int i = 0; i < headBytes; i++) {
      long at = offset + (i / elementBytes) * lane.dimStride + i % elementBytes;
      vector[i] = memory.get(ValueLayout.JAVA_BYTE, at);
    }
  }

  private void scatter(Lane lane, long offset, byte[] vector) {
    for (int i = 0; i < headBytes; i++) {
      long at = offset + (i / elementBytes) * lane.dimStride + i % elementBytes;
      memory.set(ValueLayout.JAVA_BYTE, at, vector[i]);
    }
  }
}
