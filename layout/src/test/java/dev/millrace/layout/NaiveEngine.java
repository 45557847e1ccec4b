package dev.millrace.layout;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;

/**
 * An engine with memory, for proofs. Where an element lies is written out per layout, as vLLM
 * documents its shapes, so that the factory and the planner are checked against something that
 * shares no code with them.
 *
 * <p>Memory holds a {@code long} for every byte: which byte of which element stands there. So
 * contents are unique whatever the element type. Allocations lie next to each other in random
 * order: a run that crosses from one to the next is found out, and wrongly merged ones are too.
 */
final class NaiveEngine {
  static final long UNTOUCHED = -1;
  static final long ZERO = 0;

  /**
   * An element of the model's cache and one of its bytes. Of a state: {@code head} is the channel,
   * {@code token} the state's number in its table, counted from the end.
   */
  record Element(int group, int layer, int kv, int head, long token, int dim, int part) {
    long id() {
      return ((((((group * 64L + layer) * 2 + kv) * 64 + head) * 4096 + token) * 1024 + dim) * 4
              + part)
          + 1;
    }
  }

  /** One allocation: what stands in each byte, and how often it was written. */
  static final class Memory {
    final long[] contents;
    final int[] writes;

    Memory(int bytes) {
      contents = new long[bytes];
      writes = new int[bytes];
      Arrays.fill(contents, UNTOUCHED);
    }
  }

  /** A byte of an allocation. */
  record Place(Memory memory, int index) {
    long content() {
      return memory.contents[index];
    }

    int writes() {
      return memory.writes[index];
    }

    void set(long content) {
      memory.contents[index] = content;
      memory.writes[index] = 0;
    }
  }

  private final GeometrySpec spec;
  private final Geometry geometry;
  private final TreeMap<Long, Memory> byAddress = new TreeMap<>(Long::compareUnsigned);
  private final TreeMap<Integer, Long> addresses = new TreeMap<>();

  NaiveEngine(GeometrySpec spec, long firstAddress, Random random) {
    this.spec = spec;
    List<Integer> keys = new ArrayList<>();
    for (int p = 0; p < spec.parallelism().pipeline(); p++) {
      for (int t = 0; t < spec.parallelism().tensor(); t++) {
        for (int a = 0; a < spec.allocations(p, t).size(); a++) {
          keys.add(key(p, t, a));
        }
      }
    }
    Collections.shuffle(keys, random);
    long address = firstAddress;
    for (int key : keys) {
      Allocation allocation = spec.allocations(key >> 24, key >> 16 & 255).get(key & 65535);
      int bytes = Math.toIntExact(allocation.bytes());
      byAddress.put(address, new Memory(bytes));
      addresses.put(key, address);
      address += bytes;
    }
    geometry = spec.geometry(this::address);
  }

  private static int key(int pipeline, int tensor, int allocation) {
    return pipeline << 24 | tensor << 16 | allocation;
  }

  private long address(int pipeline, int tensor, int allocation) {
    Long address = addresses.get(key(pipeline, tensor, allocation));
    if (address == null) {
      throw new AssertionError("no allocation " + allocation);
    }
    return address;
  }

  Geometry geometry() {
    return geometry;
  }

  GeometrySpec spec() {
    return spec;
  }

  /** First layer of a stage, counted within the group. */
  int firstLayer(int group, int pipeline) {
    int modelLayers = 0;
    for (CacheGroup g : spec.model().groups()) {
      modelLayers += g.layers().size();
    }
    int from = pipeline * modelLayers / spec.parallelism().pipeline();
    int first = 0;
    for (int layer : spec.model().groups().get(group).layers()) {
      if (layer < from) {
        first++;
      }
    }
    return first;
  }

  int endLayer(int group, int pipeline) {
    return pipeline + 1 == spec.parallelism().pipeline()
        ? spec.model().groups().get(group).layers().size()
        : firstLayer(group, pipeline + 1);
  }

  int headsPerRank() {
    return Math.max(1, spec.model().kvHeads() / spec.parallelism().tensor());
  }

  int firstHead(int tensor) {
    return tensor * spec.model().kvHeads() / spec.parallelism().tensor();
  }

  /** Where a rank keeps a byte of a state, if page {@code page} holds it. */
  private Place placeOfState(int pipeline, int tensor, StateShape state, Element e, int page) {
    int layer = e.layer() - firstLayer(e.group(), pipeline);
    long pageBytes =
        spec.blocksPerId() * spec.allocations(pipeline, tensor).get(layer).blockBytes();
    int firstOfPart = 0;
    long offset = 0;
    for (StateShape.Part part : state.parts()) {
      int own = part.channels() / spec.parallelism().tensor();
      int channel = e.head() - firstOfPart - tensor * own;
      if (channel >= 0 && channel < own) {
        int index = channel * part.elementsPerChannel() + e.dim();
        offset += (long) index * part.element().bytes() + e.part();
        return at(address(pipeline, tensor, layer), page * pageBytes + offset);
      }
      offset += (long) own * part.elementsPerChannel() * part.element().bytes();
      firstOfPart += part.channels();
    }
    throw new AssertionError("not this rank's: " + e);
  }

  /** Where a rank keeps a byte of an element, if block {@code block} holds its token. */
  Place place(int pipeline, int tensor, Element e, int block) {
    int tokens = spec.blockSize();
    int heads = headsPerRank();
    int kvs = spec.model().kvParts();
    int dims = spec.model().headSize();
    int l = e.layer() - firstLayer(e.group(), pipeline);
    int layers = endLayer(e.group(), pipeline) - firstLayer(e.group(), pipeline);
    int h = e.head() - firstHead(tensor);
    int n = (int) (e.token() % tokens);
    int kv = e.kv();
    int d = e.dim();
    int perLayer = heads * tokens * kvs * dims;
    int allocation;
    int blockElements;
    int index;
    switch (spec.layout()) {
      case HND -> {
        allocation = l;
        blockElements = perLayer;
        index = ((h * tokens + n) * kvs + kv) * dims + d;
      }
      case NHD -> {
        allocation = l;
        blockElements = perLayer;
        index = ((n * heads + h) * kvs + kv) * dims + d;
      }
      case HND_SPLIT -> {
        allocation = l;
        blockElements = perLayer;
        index = ((kv * heads + h) * tokens + n) * dims + d;
      }
      case NHD_SPLIT -> {
        allocation = l;
        blockElements = perLayer;
        index = ((kv * tokens + n) * heads + h) * dims + d;
      }
      case HND_SEPARATE -> {
        allocation = l * kvs + kv;
        blockElements = perLayer / kvs;
        index = (h * tokens + n) * dims + d;
      }
      case NHD_SEPARATE -> {
        allocation = l * kvs + kv;
        blockElements = perLayer / kvs;
        index = (n * heads + h) * dims + d;
      }
      case CROSS_LAYER -> {
        allocation = 0;
        blockElements = layers * perLayer;
        index = (((h * layers + l) * tokens + n) * kvs + kv) * dims + d;
      }
      case CROSS_LAYER_LHN -> {
        allocation = 0;
        blockElements = layers * perLayer;
        index = (((l * heads + h) * tokens + n) * kvs + kv) * dims + d;
      }
      case CROSS_LAYER_LNH -> {
        allocation = 0;
        blockElements = layers * perLayer;
        index = (((l * tokens + n) * heads + h) * kvs + kv) * dims + d;
      }
      case HEAD_MAJOR -> {
        allocation = l * heads + h;
        blockElements = perLayer / heads;
        index = (n * kvs + kv) * dims + d;
      }
      case CPU_ATTENTION -> {
        allocation = l;
        blockElements = perLayer;
        int part = tokens * dims;
        index = h * 2 * part + (kv == 0 ? d * tokens + n : part + n * dims + d);
      }
      default -> throw new AssertionError(spec.layout());
    }
    int bytes = spec.model().element().bytes();
    long address = address(pipeline, tensor, allocation);
    return at(address, ((long) block * blockElements + index) * bytes + e.part());
  }

  private Place at(long base, long offset) {
    Memory memory = byAddress.get(base);
    if (memory == null) {
      throw new AssertionError("no allocation starts at " + Long.toHexString(base));
    }
    return new Place(memory, Math.toIntExact(offset));
  }

  /** What lies at an address; the whole stretch must lie in one allocation. */
  Place resolve(long address, long bytes) {
    Map.Entry<Long, Memory> entry = byAddress.floorEntry(address);
    if (entry == null) {
      throw new AssertionError("nothing at " + Long.toHexString(address));
    }
    long offset = address - entry.getKey();
    long size = entry.getValue().contents.length;
    if (bytes < 1 || offset + bytes > size) {
      throw new AssertionError(
          "run [%d, +%d) leaves its allocation of %d bytes".formatted(offset, bytes, size));
    }
    return new Place(entry.getValue(), (int) offset);
  }

  /** Block that holds a token, or -1. */
  int blockOf(BlockTable table, long token) {
    int page = spec.blockSize() * spec.blocksPerId();
    long index = token / page - table.firstBlock();
    return index < 0 || index >= table.length()
        ? -1
        : table.id((int) index) * spec.blocksPerId() + (int) (token % page / spec.blockSize());
  }

  /** Whether a table has an element's token or state. */
  boolean has(BlockTable table, Element element) {
    return spec.model().groups().get(element.group()) instanceof CacheGroup.StateSpace
        ? element.token() < table.length()
        : blockOf(table, element.token()) >= 0;
  }

  /** Something done with an element's bytes at each rank that keeps it. */
  interface Visitor {
    void visit(Element element, Place place);
  }

  private void visitStates(
      int pipeline, int tensor, int group, StateShape state, BlockTable table, Visitor visitor) {
    for (int number = 0; number < table.length(); number++) {
      int page = table.id(table.length() - 1 - number);
      for (int layer = firstLayer(group, pipeline); layer < endLayer(group, pipeline); layer++) {
        int first = 0;
        for (StateShape.Part part : state.parts()) {
          int own = part.channels() / spec.parallelism().tensor();
          for (int channel = first + tensor * own;
              channel < first + (tensor + 1) * own;
              channel++) {
            for (int dim = 0; dim < part.elementsPerChannel(); dim++) {
              for (int b = 0; b < part.element().bytes(); b++) {
                Element element = new Element(group, layer, 0, channel, number, dim, b);
                visitor.visit(element, placeOfState(pipeline, tensor, state, element, page));
              }
            }
          }
          first += part.channels();
        }
      }
    }
  }

  /**
   * Visits every byte that a rank keeps of the tokens {@code [from, to)} of a group; of a group of
   * states, all of them if there is any token.
   */
  void visit(
      int pipeline, int tensor, int group, BlockTable table, long from, long to, Visitor visitor) {
    if (spec.model().groups().get(group)
        instanceof CacheGroup.StateSpace(var _, StateShape state)) {
      if (from < to) {
        visitStates(pipeline, tensor, group, state, table, visitor);
      }
      return;
    }
    for (long token = from; token < to; token++) {
      int block = blockOf(table, token);
      if (block < 0) {
        continue;
      }
      for (int layer = firstLayer(group, pipeline); layer < endLayer(group, pipeline); layer++) {
        for (int kv = 0; kv < spec.model().kvParts(); kv++) {
          for (int head = firstHead(tensor); head < firstHead(tensor) + headsPerRank(); head++) {
            for (int dim = 0; dim < spec.model().headSize(); dim++) {
              for (int part = 0; part < spec.model().element().bytes(); part++) {
                Element element = new Element(group, layer, kv, head, token, dim, part);
                visitor.visit(element, place(pipeline, tensor, element, block));
              }
            }
          }
        }
      }
    }
  }

  /** Writes a sequence into all ranks, with something in every token that the tables have. */
  void fill(List<BlockTable> tables) {
    for (int p = 0; p < spec.parallelism().pipeline(); p++) {
      for (int t = 0; t < spec.parallelism().tensor(); t++) {
        for (int group = 0; group < tables.size(); group++) {
          BlockTable table = tables.get(group);
          long end =
              (long) (table.firstBlock() + table.length()) * spec.blockSize() * spec.blocksPerId();
          visit(p, t, group, table, 0, end, (e, place) -> place.set(e.id()));
        }
      }
    }
  }

  /** All bytes of all ranks. */
  Iterable<long[]> contents() {
    return byAddress.values().stream().map(memory -> memory.contents).toList();
  }
}
