package dev.millrace.transfer.agent;

import dev.millrace.transfer.sidechannel.AgentMetadata;
import dev.millrace.transfer.sidechannel.SideChannelServer;

/**
 * A prefill engine that there is none of: a side channel of the agent's own, on which it answers a
 * decode engine's handshake so that the decode engine reads what it is meant to read.
 *
 * @param engineId {@link AgentMetadata#engineId} of its answers
 * @param sideChannel of its own, because a decode engine keeps one engine per host and port (vLLM
 *     v0.32)
 */
record VirtualEngine(String engineId, SideChannelServer sideChannel) implements AutoCloseable {

  int port() {
    return sideChannel.port();
  }

  @Override
  public void close() {
    sideChannel.close();
  }
}
