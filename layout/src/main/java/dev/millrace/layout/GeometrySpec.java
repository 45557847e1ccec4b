package dev.millrace.layout;

import java.util.List;

/**
 * What one has to say about an engine to know its geometry, but for addresses: the flags of an
 * engine, or the {@code tp=2,block=16,layout=hnd,…} of a command line.
 *
 * @param blocks blocks per rank
 */
public record GeometrySpec(
    ModelShape model, Parallelism parallelism, int blockSize, Layout layout, int blocks) {

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
