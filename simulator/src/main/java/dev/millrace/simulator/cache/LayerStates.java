package dev.millrace.simulator.cache;

import dev.millrace.layout.Axis;
import dev.millrace.layout.AxisName;
import dev.millrace.layout.CacheGroup;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Rank;
import dev.millrace.layout.Region;
import dev.millrace.simulator.model.KvFunction;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * The states that a rank keeps of state-space layers: one block of a sequence holds a layer's whole
 * state, which every token changes in place. The new state follows from the bytes of the old one,
 * so a wrong byte never heals.
 */
final class LayerStates {
  private final MemorySegment memory;
  private final List<Channels> channels = new ArrayList<>();

  /**
   * Neighbouring channels of one layer; offsets count from the rank's memory.
   *
   * @param layer number in the model
   * @param first number of the first channel in the model
   */
  private record Channels(
      int group,
      long offset,
      long blockStride,
      int layer,
      int first,
      int count,
      long channelStride,
      int elements,
      int elementBytes) {}

  LayerStates(MemorySegment memory, Rank rank, GeometrySpec spec) {
    this.memory = memory;
    for (int group = 0; group < rank.regions().size(); group++) {
      if (spec.model().groups().get(group) instanceof CacheGroup.StateSpace kind) {
        for (Region region : rank.regions().get(group)) {
          add(group, kind, region);
        }
      }
    }
  }

  private void add(int group, CacheGroup.StateSpace kind, Region region) {
    Axis layers = region.axis(AxisName.LAYER);
    Axis dealt = region.axis(AxisName.CHANNEL);
    Axis elements = region.axis(AxisName.DIM);
    for (int layer = 0; layer < layers.extent(); layer++) {
      channels.add(
          new Channels(
              group,
              region.baseAddress() - memory.address() + layer * layers.strideBytes(),
              region.blockStrideBytes(),
              kind.layers().get(layers.first() + layer),
              dealt.first(),
              dealt.extent(),
              dealt.strideBytes(),
              elements.extent(),
              kind.state().partOf(dealt.first()).element().bytes()));
    }
  }

  /** Brings the states from the one behind {@code from} tokens to the one behind {@code to}. */
  void advance(Sequence sequence, int from, int to) {
    for (Channels each : channels) {
      long start = each.offset + sequence.stateBlock(each.group) * each.blockStride;
      for (int channel = 0; channel < each.count; channel++) {
        long offset = start + channel * each.channelStride;
        for (int token = from; token < to; token++) {
          long seed =
              KvFunction.stateSeed(sequence.prefix(token), each.layer, each.first + channel);
          for (int i = 0; i < each.elements; i++) {
            long at = offset + (long) i * each.elementBytes;
            long before = token == 0 ? 0 : Elements.get(memory, at, each.elementBytes);
            Elements.set(memory, at, each.elementBytes, KvFunction.stateAfter(before, seed, i));
          }
        }
      }
    }
  }

  /** Reads all states back. */
  void digest(Sequence sequence, SequenceDigest digest) {
    for (Channels each : channels) {
      long start = each.offset + sequence.stateBlock(each.group) * each.blockStride;
      for (int channel = 0; channel < each.count; channel++) {
        long offset = start + channel * each.channelStride;
        long one = KvFunction.stateDigestSeed(each.layer, each.first + channel);
        for (int i = 0; i < each.elements; i++) {
          long at = offset + (long) i * each.elementBytes;
          one = KvFunction.absorb(one, Elements.get(memory, at, each.elementBytes));
        }
        digest.addState(KvFunction.finish(one));
      }
    }
  }
}
