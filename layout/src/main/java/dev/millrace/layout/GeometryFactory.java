package dev.millrace.layout;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * Builds geometries from specs.
 *
 * <p>A rank's box is its slice of layers (pipeline), its slice of heads (tensor) and all of KV,
 * TOKEN and DIM. The axes that the layout names are packed densely inside a block, innermost last;
 * each index of an axis that it does not name is a tensor of its own, ordered by layer, then K and
 * V, then head.
 *
 * <p>Layer <i>j</i> of every KV-cache group lies in the same tensor. A state-space layer's state
 * fills a page of it: as many blocks as one id stands for. A model of state-space layers alone has
 * blocks of its states' size.
 *
 * <p>Heads: with {@code H} heads on {@code T} ranks, rank {@code t} holds {@code H/T} heads from
 * {@code t*H/T} on, or, where {@code T > H}, the one head {@code t*H/T} (vLLM's replication of KV
 * heads). MLA's single head falls under the second rule.
 */
final class GeometryFactory {
  private GeometryFactory() {}

  static List<Allocation> allocations(GeometrySpec spec, int pipeline, int tensor) {
    return new RankBuilder(spec, pipeline, tensor).thatHoldsItsStates().allocations();
  }

  static Geometry geometry(GeometrySpec spec, AddressBook addresses) {
    List<Rank> ranks = new ArrayList<>();
    for (int p = 0; p < spec.parallelism().pipeline(); p++) {
      for (int t = 0; t < spec.parallelism().tensor(); t++) {
        ranks.add(new RankBuilder(spec, p, t).thatHoldsItsStates().rank(addresses));
      }
    }
    return new Geometry(
        spec.model(),
        spec.parallelism(),
        spec.blockSize(),
        spec.layout(),
        spec.blocksPerId(),
        ranks);
  }

  /** How many blocks it takes to hold the largest state. */
  static int leastBlocksPerId(GeometrySpec spec) {
    long most = 1;
    for (int stage = 0; stage < spec.parallelism().pipeline(); stage++) {
      RankBuilder rank = new RankBuilder(spec, stage, 0);
      if (rank.blockBytes() > 0) {
        most = Math.max(most, Math.ceilDiv(rank.largestStateBytes(), rank.blockBytes()));
      }
    }
    return Math.toIntExact(most);
  }

  /** Indices {@code [first, first + extent)} of an axis. */
  private record Slice(int first, int extent) {}

  /** An allocation: what it is called, where it begins and how far its blocks are apart. */
  private record Place(String name, long base, long blockStride) {
    Place plus(long offset) {
      return new Place(name, base + offset, blockStride);
    }
  }

  private static final class RankBuilder {
    private final GeometrySpec spec;
    private final ModelShape model;
    private final Layout layout;
    private final int pipeline;
    private final int tensor;
    private final Slice heads;

    RankBuilder(GeometrySpec spec, int pipeline, int tensor) {
      this.spec = spec;
      this.model = spec.model();
      this.layout = spec.layout();
      this.pipeline = pipeline;
      this.tensor = tensor;
      this.heads = heads(model.kvHeads(), spec.parallelism().tensor(), tensor);
      if (layout.isCrossLayer() && model.groups().size() > 1) {
        throw new IncompatibleGeometry(
            "layout %s holds all layers in one block, so the model must have one KV-cache group, not %d"
                .formatted(layout.shortName(), model.groups().size()));
      }
      if (layout == Layout.CPU_ATTENTION && model.isMla()) {
        throw new IncompatibleGeometry("layout cpu keeps K and V; MLA's latent has no such layout");
      }
      refuseScatteredStates();
    }

    private void refuseScatteredStates() {
      boolean scattered =
          separate(AxisName.KV, model.kvParts()) > 1 || separate(AxisName.HEAD, heads.extent()) > 1;
      if (scattered && !states().isEmpty()) {
        throw new IncompatibleGeometry(
            "layout %s has several tensors per layer; a state-space layer's state lies in one"
                .formatted(layout.shortName()));
      }
    }

    /** Not asked while it is found out how many blocks a state needs. */
    RankBuilder thatHoldsItsStates() {
      long page = blockBytes() * spec.blocksPerId();
      long state = largestStateBytes();
      if (state > page) {
        throw new IncompatibleGeometry(
            "a state of %d bytes does not fit into a page of %d: %d blocks of %d bytes. An id must stand for more blocks"
                .formatted(state, page, spec.blocksPerId(), blockBytes()));
      }
      return this;
    }

    private List<CacheGroup.StateSpace> states() {
      return model.groups().stream()
          .filter(CacheGroup.StateSpace.class::isInstance)
          .map(CacheGroup.StateSpace.class::cast)
          .toList();
    }

    private long largestStateBytes() {
      int ranks = spec.parallelism().tensor();
      return states().stream()
          .map(CacheGroup.StateSpace::state)
          .mapToLong(state -> state.convolutionBytes(ranks) + state.temporalBytes(ranks))
          .max()
          .orElse(0);
    }

    private static Slice heads(int heads, int ranks, int rank) {
      if (heads % ranks != 0 && ranks % heads != 0) {
        throw new IncompatibleGeometry(
            "%d KV heads do not divide among %d tensor-parallel ranks, nor the ranks among the heads"
                .formatted(heads, ranks));
      }
      return new Slice((int) ((long) rank * heads / ranks), Math.max(1, heads / ranks));
    }

    /** The layers of {@code group} that this pipeline stage owns, counted within the group. */
    private Slice layers(CacheGroup group) {
      int stages = spec.parallelism().pipeline();
      int from = (int) ((long) pipeline * model.layers() / stages);
      int to = (int) ((long) (pipeline + 1) * model.layers() / stages);
      int first = (int) group.layers().stream().filter(layer -> layer < from).count();
      int end = (int) group.layers().stream().filter(layer -> layer < to).count();
      return new Slice(first, end - first);
    }

    List<Allocation> allocations() {
      List<Allocation> allocations = new ArrayList<>();
      int slots = slots();
      for (int slot = 0; slot < slots; slot++) {
        for (int kv = 0; kv < separate(AxisName.KV, model.kvParts()); kv++) {
          for (int head = 0; head < separate(AxisName.HEAD, heads.extent()); head++) {
            allocations.add(new Allocation(name(slot, kv, head), spec.blocks(), blockBytes()));
          }
        }
      }
      return allocations;
    }

    Rank rank(AddressBook addresses) {
      List<List<Region>> groups = new ArrayList<>();
      for (CacheGroup group : model.groups()) {
        List<Region> regions = new ArrayList<>();
        Slice layers = layers(group);
        int tensors = layout.isCrossLayer() ? Math.min(1, layers.extent()) : layers.extent();
        for (int slot = 0; slot < tensors; slot++) {
          switch (group) {
            case CacheGroup.Full full -> addRegions(regions, layers, slot, addresses);
            case CacheGroup.SlidingWindow window -> addRegions(regions, layers, slot, addresses);
            case CacheGroup.StateSpace space ->
                addStates(regions, space.state(), layers.first() + slot, slot, addresses);
          }
        }
        groups.add(regions);
      }
      return new Rank(pipeline, tensor, groups);
    }

    /** A region for each part of a state. */
    private void addStates(
        List<Region> regions, StateShape state, int layer, int slot, AddressBook addresses) {
      long base = addresses.baseAddress(pipeline, tensor, slot);
      int blocks = spec.blocks() / spec.blocksPerId();
      long stride = stride(slot, addresses) * spec.blocksPerId();
      for (StateShape.Slice slice : state.slices(spec.parallelism().tensor(), tensor)) {
        regions.add(
            new Region(
                name(slot, 0, 0),
                base + slice.offsetBytes(),
                blocks,
                stride,
                List.of(
                    new Axis(AxisName.LAYER, layer, 1, 0), slice.channels(), slice.elements())));
      }
    }

    private long stride(int allocation, AddressBook addresses) {
      return addresses.blockStrideBytes(pipeline, tensor, allocation, blockBytes());
    }

    private void addRegions(List<Region> regions, Slice layers, int slot, AddressBook addresses) {
      int kvTensors = separate(AxisName.KV, model.kvParts());
      int headTensors = separate(AxisName.HEAD, heads.extent());
      Slice layer = layout.isCrossLayer() ? layers : new Slice(layers.first() + slot, 1);
      for (int kv = 0; kv < kvTensors; kv++) {
        for (int head = 0; head < headTensors; head++) {
          int allocation = (slot * kvTensors + kv) * headTensors + head;
          long base = addresses.baseAddress(pipeline, tensor, allocation);
          Slice parts = kvTensors > 1 ? new Slice(kv, 1) : new Slice(0, model.kvParts());
          Slice ownHeads = headTensors > 1 ? new Slice(heads.first() + head, 1) : heads;
          Place place = new Place(name(slot, kv, head), base, stride(allocation, addresses));
          if (layout == Layout.CPU_ATTENTION) {
            regions.add(transposedK(place, layer, ownHeads));
            regions.add(plainV(place, layer, ownHeads));
          } else {
            regions.add(dense(place, layer, parts, ownHeads));
          }
        }
      }
    }

    /**
     * All axes of the layout packed, innermost last; the axes it does not name stand outside with
     * extent 1.
     */
    private Region dense(Place place, Slice layer, Slice parts, Slice ownHeads) {
      Map<AxisName, Slice> slices = new EnumMap<>(AxisName.class);
      slices.put(AxisName.LAYER, layer);
      slices.put(AxisName.KV, parts);
      slices.put(AxisName.HEAD, ownHeads);
      slices.put(AxisName.TOKEN, new Slice(0, spec.blockSize()));
      slices.put(AxisName.DIM, new Slice(0, model.headSize()));
      List<Axis> axes = new ArrayList<>();
      long stride = model.element().bytes();
      for (AxisName axis : layout.order().reversed()) {
        Slice slice = slices.remove(axis);
        if (slice == null) {
          throw new AssertionError(axis + " stands twice in " + layout);
        }
        axes.addFirst(new Axis(axis, slice.first(), slice.extent(), stride));
        stride *= slice.extent();
      }
      for (Map.Entry<AxisName, Slice> left : slices.entrySet()) {
        Slice slice = left.getValue();
        axes.addFirst(new Axis(left.getKey(), slice.first(), slice.extent(), stride));
      }
      return new Region(place.name(), place.base(), spec.blocks(), place.blockStride(), axes);
    }

    /** K of CPU attention: DIM outside TOKEN. */
    private Region transposedK(Place place, Slice layer, Slice ownHeads) {
      long element = model.element().bytes();
      return cpu(place, 0, layer, ownHeads, element, spec.blockSize() * element);
    }

    /** V of CPU attention, behind K of the same head. */
    private Region plainV(Place place, Slice layer, Slice ownHeads) {
      long element = model.element().bytes();
      long offset = (long) spec.blockSize() * model.headSize() * element;
      return cpu(place.plus(offset), 1, layer, ownHeads, model.headSize() * element, element);
    }

    private Region cpu(
        Place place, int kv, Slice layer, Slice ownHeads, long tokenStride, long dimStride) {
      long part = (long) spec.blockSize() * model.headSize() * model.element().bytes();
      return new Region(
          place.name(),
          place.base(),
          spec.blocks(),
          place.blockStride(),
          List.of(
              new Axis(AxisName.LAYER, layer.first(), layer.extent(), 0),
              new Axis(AxisName.HEAD, ownHeads.first(), ownHeads.extent(), 2 * part),
              new Axis(AxisName.KV, kv, 1, part),
              new Axis(AxisName.TOKEN, 0, spec.blockSize(), tokenStride),
              new Axis(AxisName.DIM, 0, model.headSize(), dimStride)));
    }

    /** Tensors that hold a layer each, or the one that holds all. Groups share them. */
    private int slots() {
      int most = 0;
      for (CacheGroup group : model.groups()) {
        most = Math.max(most, layers(group).extent());
      }
      return layout.isCrossLayer() ? Math.min(1, most) : most;
    }

    /** How many tensors an axis is spread over. */
    private int separate(AxisName axis, int extent) {
      return layout.order().contains(axis) ? 1 : extent;
    }

    private long blockBytes() {
      if (states().size() == model.groups().size()) {
        return Math.ceilDiv(largestStateBytes(), spec.blocksPerId());
      }
      long bytes = (long) spec.blockSize() * model.headSize() * model.element().bytes();
      if (layout.order().contains(AxisName.KV)) {
        bytes *= model.kvParts();
      }
      if (layout.order().contains(AxisName.HEAD)) {
        bytes *= heads.extent();
      }
      if (layout.isCrossLayer()) {
        bytes *= layers(model.groups().getFirst()).extent();
      }
      return bytes;
    }

    /**
     * vLLM's names for a Llama-like model (v0.32 handshake, {@code region_names}), told apart where
     * a layer has several.
     */
    private String name(int slot, int kv, int head) {
      StringBuilder name = new StringBuilder();
      if (layout.isCrossLayer()) {
        name.append("cross_layer");
      } else {
        for (CacheGroup group : model.groups()) {
          Slice layers = layers(group);
          if (slot < layers.extent()) {
            int layer = group.layers().get(layers.first() + slot);
            String kind = group instanceof CacheGroup.StateSpace ? ".mixer" : ".self_attn.attn";
            name.append("model.layers.").append(layer).append(kind);
            break;
          }
        }
      }
      if (separate(AxisName.KV, model.kvParts()) > 1) {
        name.append(kv == 0 ? ".k" : ".v");
      }
      if (separate(AxisName.HEAD, heads.extent()) > 1) {
        name.append(".head").append(heads.first() + head);
      }
      return name.toString();
    }
  }
}
