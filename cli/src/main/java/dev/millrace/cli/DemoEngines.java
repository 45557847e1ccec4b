package dev.millrace.cli;

import dev.millrace.config.AgentAddress;
import java.util.List;
import java.util.Optional;

/** The engines between which a demo moves blocks, and the agent that watches them. */
sealed interface DemoEngines extends AutoCloseable permits EnginesHere, EnginesApart {
  List<DemoEngine> prefill();

  List<DemoEngine> decode();

  /** The KV agent, if there is one. */
  Optional<AgentAddress> agent();

  @Override
  void close();
}
