package dev.millrace.layout;

import java.util.List;

/**
 * What one has to say about an engine to know its geometry, but for addresses: the flags of an
 * engine, or the {@code tp=2,block=16,layout=hnd,…} of a command line.
 *
 * @param blockSize tokens per block, as the attention kernel sees it
 * @param blocks blocks per rank
 * @param blocksPerId blocks that one id of a block table stands for; more than 1 where a
 *     state-space layer's state needs a page larger than the kernel's block (vLLM: {@code
 *     physical_blocks_per_logical_kv_block}). A state fills such a page
 */
public record GeometrySpec(
    ModelShape model,
    Parallelism parallelism,
    int blockSize,
    Layout layout,
    int blocks,
    int blocksPerId) {
  public GeometrySpec {
    if (blocksPerId < 1 || blocks % blocksPerId != 0) {
      throw new IllegalArgumentException(
          "geometry: %d blocks are no whole number of pages of blocksPerId=%d"
              .formatted(blocks, blocksPerId));
    }
  }

  /** A spec of which one id stands for one block. */
  public GeometrySpec(
      ModelShape model, Parallelism parallelism, int blockSize, Layout layout, int blocks) {
    this(model, parallelism, blockSize, layout, blocks, 1);
  }

  /** The fewest blocks that an id can stand for: their page holds every state. 1 without states. */
  public int leastBlocksPerId() {
    return GeometryFactory.leastBlocksPerId(this);
  }

  /** The tensors that a rank allocates, in handshake order. */
  public List<Allocation> allocations(int pipeline, int tensor) {
    return GeometryFactory.allocations(this, pipeline, tensor);
  }

  /** The geometry with its allocations at the given addresses. */
  public Geometry geometry(AddressBook addresses) {
    return GeometryFactory.geometry(this, addresses);
  }

  /** The geometry with every allocation in an imagined memory, for planning without an engine. */
  public Geometry geometry() {
    return geometry(AddressBook.IMAGINED);
  }
}
