package dev.millrace.bench;

import dev.millrace.layout.AddressBook;
import dev.millrace.layout.Allocation;
import dev.millrace.layout.BlockTable;
import dev.millrace.layout.Geometry;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.GeometryText;
import dev.millrace.transfer.sidechannel.Blob;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
import dev.millrace.transfer.sidechannel.EngineGeometry;
import dev.millrace.transfer.sidechannel.Handshake;
import dev.millrace.transfer.sidechannel.HandshakeCodec;
import dev.millrace.transfer.sidechannel.RankId;
import dev.millrace.transfer.sidechannel.SideChannelServer;
import java.util.List;
import java.util.Map;
import java.util.Random;

/**
 * The cache of an engine, a Llama 8B's: 32 layers, 8 KV heads of 128. All ranks are in one memory.
 *
 * @param start address of its memory
 */
record Cache(GeometrySpec spec, long start) {
  private static final String MODEL = "layers=32,heads=8,head-size=128,";

  /** Of bf16. */
  static final long TOKEN_BYTES = 128 << 10;

  static final RankId RANK = new RankId(0, 0);

  /**
   * Room for so many tokens.
   *
   * @param shape the rest of a geometry, such as {@code block=16,layout=hnd}; bf16 unless it says
   */
  static GeometrySpec spec(String shape, int tokens) {
    String dtype = shape.contains("dtype=") ? "" : "dtype=bf16,";
    GeometrySpec any = GeometryText.parse(MODEL + dtype + shape);
    return new GeometrySpec(
        any.model(), any.parallelism(), any.blockSize(), any.layout(), tokens / any.blockSize());
  }

  AddressBook addresses() {
    return (pipeline, tensor, allocation) ->
        start + tensor * rankBytes() + bytes(spec.allocations(0, tensor), allocation);
  }

  /** Of all ranks, which have as many each. */
  long bytes() {
    return spec.parallelism().tensor() * rankBytes();
  }

  private long rankBytes() {
    List<Allocation> all = spec.allocations(0, 0);
    return bytes(all, all.size());
  }

  private static long bytes(List<Allocation> allocations, int first) {
    return allocations.stream().limit(first).mapToLong(Allocation::bytes).sum();
  }

  Geometry geometry() {
    return spec.geometry(addresses());
  }

  /**
   * Blocks of so many tokens, in no order. Where there are more than the cache has, they are taken
   * again: nobody who reads can tell.
   */
  BlockTable blocks(int tokens, long seed) {
    int[] order = new int[spec.blocks()];
    Random random = new Random(seed);
    for (int i = 0; i < order.length; i++) {
      int j = random.nextInt(i + 1);
      order[i] = order[j];
      order[j] = i;
    }
    int[] ids = new int[tokens / spec.blockSize()];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = order[i % order.length];
    }
    return BlockTable.of(ids);
  }

  /** Answers handshakes as the engine of this cache. */
  SideChannelServer listen(String engineId, byte[] transport) {
    return SideChannelServer.start(
        "127.0.0.1",
        0,
        Map.of(
            RANK,
            new Handshake(
                "hash of " + engineId,
                HandshakeCodec.encode(
                    EngineGeometry.describe(
                        spec, RANK, addresses(), engineId, "FLASH_ATTN", Blob.of(transport)),
                    ConnectorVersion.V14))));
  }
}
