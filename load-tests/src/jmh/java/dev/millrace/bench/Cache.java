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
 * The cache of an engine with one rank, a Llama 8B's: 32 layers, 8 KV heads of 128, bf16, 128 KiB
 * per token.
 *
 * @param start address of its memory
 */
record Cache(GeometrySpec spec, long start) {
  private static final String MODEL = "layers=32,heads=8,head-size=128,dtype=bf16,";
  static final long TOKEN_BYTES = 128 << 10;
  static final RankId RANK = new RankId(0, 0);

  /** Room for so many tokens, given the rest of a geometry, such as {@code block=16,layout=hnd}. */
  static GeometrySpec spec(String shape, int tokens) {
    GeometrySpec any = GeometryText.parse(MODEL + shape);
    return new GeometrySpec(
        any.model(), any.parallelism(), any.blockSize(), any.layout(), tokens / any.blockSize());
  }

  AddressBook addresses() {
    List<Allocation> allocations = spec.allocations(0, 0);
    return (pipeline, tensor, allocation) ->
        start + allocations.stream().limit(allocation).mapToLong(Allocation::bytes).sum();
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
