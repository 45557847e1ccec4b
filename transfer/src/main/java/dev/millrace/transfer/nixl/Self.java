package dev.millrace.transfer.nixl;

import dev.millrace.transfer.SharedSecret;

/** What this side looks like to itself. */
record Self(AgentHandle agent, Envelope.Identity identity, SharedSecret secret) {
  /** The bytes of a frame to an agent. */
  byte[] seal(Frame.Numbered frame, String receiver) {
    return Frame.seal(frame, identity.agentName(), receiver, secret);
  }
}
