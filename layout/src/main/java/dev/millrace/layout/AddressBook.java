package dev.millrace.layout;

/** Where the allocations of an engine's ranks lie. */
@FunctionalInterface
public interface AddressBook {
  /**
   * A different, far-apart range of addresses for every allocation, for plans that nobody executes:
   * 1 TiB each for 4096 allocations of 256 tensor ranks in 15 pipeline stages.
   */
  AddressBook IMAGINED =
      (pipeline, tensor, allocation) ->
          ((long) (pipeline + 1) << 60) | ((long) tensor << 52) | ((long) allocation << 40);

  /**
   * The base address of an allocation.
   *
   * @param allocation index in {@link GeometrySpec#allocations}
   */
  long baseAddress(int pipeline, int tensor, int allocation);

  /**
   * The distance of neighbouring blocks of an allocation: their size, or more where what is
   * described as a tensor of its own interleaves with others.
   *
   * @param blockBytes size of a block
   */
  default long blockStrideBytes(int pipeline, int tensor, int allocation, long blockBytes) {
    return blockBytes;
  }
}
