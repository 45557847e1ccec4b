package dev.millrace.bench;

import dev.millrace.transfer.agent.AgentTransport;
import dev.millrace.transfer.agent.ServingTransport;
import dev.millrace.transfer.sidechannel.SideChannelServer;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** The process of a prefill engine, as others see it: memory, a transport, a side channel. */
final class PrefillSide {
  static final String ID = "prefill";

  private PrefillSide() {}

  /** Its transport, its shape, its tokens. */
  public static void main(String[] arguments) throws IOException {
    int tokens = Integer.parseInt(arguments[2]);
    AgentTransport transport = Transports.between(arguments[0], ID);
    ServingTransport serving = transport.serve();
    try (Arena arena = Arena.ofShared()) {
      MemorySegment memory = Memory.filled(arena, tokens * Cache.TOKEN_BYTES);
      var _ = serving.blocks().register(memory);
      // That somebody is done is all that it is told, and it keeps everything.
      serving.blocks().onNotification((peer, payload) -> {});
      Cache cache = new Cache(Cache.spec(arguments[1], tokens), memory.address());
      SideChannelServer sideChannel = cache.listen(ID, serving.describe());
      Helper.ready(Integer.toString(sideChannel.port()));
      sideChannel.close();
      serving.blocks().close();
      transport.blocks().close();
    }
    System.exit(0);
  }
}
