package dev.millrace.cli;

import dev.millrace.simulator.EngineTransport;

/** How the blocks of simulated engines travel, as flags say it. */
enum TransportChoice {
  TCP,
  NIXL;

  /** What the flag means to an engine. */
  EngineTransport engineTransport() {
    return switch (this) {
      case TCP -> EngineTransport.tcp();
      case NIXL -> new EngineTransport.Nixl();
    };
  }
}
