package dev.millrace.layout.compatibility.matrix;

/** A column of the matrix: what two engines may do, or differ in. */
public enum Capability {
  BASIC("basic P/D"),
  SPECULATIVE_DECODING("spec decode"),
  UNEQUAL_TENSOR_PARALLEL("hetero TP"),
  CROSS_LAYER_BLOCKS("cross-layer blocks"),
  SLIDING_WINDOW("SWA"),
  HOST_BUFFER("host buffer"),
  UNEQUAL_BLOCK_SIZE("hetero block size");

  private final String title;

  Capability(String title) {
    this.title = title;
  }

  /** The column's heading. */
  @Override
  public String toString() {
    return title;
  }
}
