package dev.millrace.transfer.agent;

import dev.millrace.transfer.BlockTransport;

/**
 * What decode engines read from. It is not the transport that the agent reads with: what an engine
 * has been told about it can read for good, so it is told about memory that is there for it and no
 * other.
 */
public interface ServingTransport {
  /** Registers memory and takes notifications. The agent closes it. */
  BlockTransport blocks();

  /** What an engine's handshake says of it, in the terms of the engines. */
  byte[] describe();

  /** A transport whose peers describe themselves in their handshake, such as the TCP one. */
  static ServingTransport of(BlockTransport transport) {
    return new ServingTransport() {
      @Override
      public BlockTransport blocks() {
        return transport;
      }

      @Override
      public byte[] describe() {
        return transport.describe();
      }
    };
  }
}
