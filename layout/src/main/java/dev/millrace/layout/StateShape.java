package dev.millrace.layout;

import java.util.ArrayList;
import java.util.List;

/**
 * What a state-space layer (Mamba, gated delta nets) keeps of a sequence: the last inputs of its
 * convolution and its recurrent state. It has one size, however long the sequence is.
 *
 * <p>A state is a list of parts, one behind the other. A part has channels, which tensor
 * parallelism deals out evenly and in order, and a channel has elements that stay together:
 *
 * <pre>
 * page of a rank: | x: channels/T of them | B | C | temporal: heads/T of them | padding |
 *                   channel: its last inputs         head: its matrix
 * </pre>
 *
 * <p>So is vLLM's state with {@code VLLM_SSM_CONV_STATE_LAYOUT=DS}, which its connector needs for
 * them (v0.28, {@code ssm_conv_transfer_utils}): the convolution's projections are the parts x
 * (Mamba1), x, B, C (Mamba2) or Q, K, V (gated delta nets), and behind them, without a gap, is the
 * temporal state.
 *
 * @param parts in the order of memory; the last one is the temporal state
 */
public record StateShape(List<Part> parts) {
  /**
   * One part of a state.
   *
   * @param name such as {@code B} or {@code temporal}
   * @param channels of the whole model: what tensor parallelism deals out
   * @param elementsPerChannel elements that stay together
   * @param element their type
   */
  public record Part(String name, int channels, int elementsPerChannel, ElementType element) {
    public Part {
      if (channels < 1 || elementsPerChannel < 1) {
        throw new IllegalArgumentException(
            "part %s of a state: channels=%d (>= 1), elementsPerChannel=%d (>= 1)"
                .formatted(name, channels, elementsPerChannel));
      }
    }

    /** Bytes of one channel. */
    public long channelBytes() {
      return (long) elementsPerChannel * element.bytes();
    }

    /** Bytes of all channels. */
    public long bytes() {
      return channels * channelBytes();
    }
  }

  /**
   * What the convolution keeps.
   *
   * @param rows inputs of each channel, one fewer than the kernel is wide
   */
  public record Convolution(int rows, ElementType element) {}

  private static final String TEMPORAL = "temporal";

  public StateShape {
    parts = List.copyOf(parts);
    if (parts.size() < 2) {
      throw new IllegalArgumentException(
          "a state has a part of the convolution and the temporal part, not " + parts);
    }
  }

  /**
   * Mamba1.
   *
   * @param channels of the convolution, each with a recurrent state of {@code stateSize} elements
   */
  public static StateShape mamba1(
      int channels, int stateSize, Convolution convolution, ElementType temporal) {
    return new StateShape(
        List.of(
            projection("x", channels, convolution),
            new Part(TEMPORAL, channels, stateSize, temporal)));
  }

  /**
   * Mamba2.
   *
   * @param heads each with a recurrent state of {@code headSize * stateSize} elements
   * @param groups of heads that share B and C; each rank has at least one
   */
  public static StateShape mamba2(
      int heads,
      int headSize,
      int groups,
      int stateSize,
      Convolution convolution,
      ElementType temporal) {
    return new StateShape(
        List.of(
            projection("x", heads * headSize, convolution),
            projection("B", groups * stateSize, convolution),
            projection("C", groups * stateSize, convolution),
            new Part(TEMPORAL, heads, headSize * stateSize, temporal)));
  }

  /**
   * Gated delta nets.
   *
   * @param valueHeads each with a recurrent state of {@code keySize * valueSize} elements
   */
  public static StateShape gatedDeltaNet(
      int keyHeads,
      int valueHeads,
      int keySize,
      int valueSize,
      Convolution convolution,
      ElementType temporal) {
    return new StateShape(
        List.of(
            projection("Q", keyHeads * keySize, convolution),
            projection("K", keyHeads * keySize, convolution),
            projection("V", valueHeads * valueSize, convolution),
            new Part(TEMPORAL, valueHeads, keySize * valueSize, temporal)));
  }

  private static Part projection(String name, int channels, Convolution convolution) {
    return new Part(name, channels, convolution.rows(), convolution.element());
  }

  /** Channels of all parts. {@link AxisName#CHANNEL} counts through them. */
  public int channels() {
    return parts.stream().mapToInt(Part::channels).sum();
  }

  /** Number of the first channel of a part. */
  public int firstChannel(int part) {
    return parts.subList(0, part).stream().mapToInt(Part::channels).sum();
  }

  /** The part that a channel belongs to. */
  public Part partOf(int channel) {
    int first = 0;
    for (Part part : parts) {
      first += part.channels();
      if (channel < first) {
        return part;
      }
    }
    throw new IllegalArgumentException("channel " + channel + " of " + first);
  }

  /** Bytes of the whole state, all ranks together. */
  public long bytes() {
    return parts.stream().mapToLong(Part::bytes).sum();
  }

  /**
   * Bytes that a rank keeps of the convolution's parts, vLLM's {@code ssm_sizes[0]}.
   *
   * @param ranks tensor-parallel size
   */
  public long convolutionBytes(int ranks) {
    return parts.subList(0, parts.size() - 1).stream().mapToLong(part -> bytes(part, ranks)).sum();
  }

  /** Bytes that a rank keeps of the temporal part, vLLM's {@code ssm_sizes[1]}. */
  public long temporalBytes(int ranks) {
    return bytes(parts.getLast(), ranks);
  }

  private static long bytes(Part part, int ranks) {
    return channels(part, ranks) * part.channelBytes();
  }

  /** Channels of a part that a rank has. */
  private static int channels(Part part, int ranks) {
    if (part.channels() % ranks != 0) {
      throw new IncompatibleGeometry(
          "%d channels of a state's part %s do not divide among %d tensor-parallel ranks"
              .formatted(part.channels(), part.name(), ranks));
    }
    return part.channels() / ranks;
  }

  /**
   * Where a part's channels of a rank lie: a box without a layer and without an address.
   *
   * @param offsetBytes from the start of the rank's page
   */
  record Slice(long offsetBytes, Axis channels, Axis elements) {}

  /** What a rank has of each part. */
  List<Slice> slices(int ranks, int rank) {
    List<Slice> slices = new ArrayList<>();
    long offset = 0;
    int first = 0;
    for (Part part : parts) {
      int own = channels(part, ranks);
      slices.add(
          new Slice(
              offset,
              new Axis(AxisName.CHANNEL, first + rank * own, own, part.channelBytes()),
              new Axis(AxisName.DIM, 0, part.elementsPerChannel(), part.element().bytes())));
      offset += own * part.channelBytes();
      first += part.channels();
    }
    return slices;
  }
}
