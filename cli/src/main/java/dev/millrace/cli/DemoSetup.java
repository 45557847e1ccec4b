package dev.millrace.cli;

import dev.millrace.config.Transfer;
import dev.millrace.layout.GeometrySpec;
import java.time.Duration;

/**
 * What a demo consists of.
 *
 * @param transport how blocks travel, which also decides where the engines run
 * @param prefill geometry of every prefill engine
 * @param decode geometry of every decode engine
 * @param prefillCount number of prefill engines
 * @param decodeCount number of decode engines
 * @param port the router's port, 0 for any free one
 * @param adminPort the router's port for operators, 0 for any free one
 * @param interToken time between two tokens of a decode engine
 * @param transfer who brings blocks to decode engines; engines keep vLLM's rules unless it is they
 */
record DemoSetup(
    TransportChoice transport,
    GeometrySpec prefill,
    GeometrySpec decode,
    int prefillCount,
    int decodeCount,
    int port,
    int adminPort,
    Duration interToken,
    Transfer transfer) {

  /** A demo whose engines move blocks themselves. */
  DemoSetup(
      TransportChoice transport,
      GeometrySpec prefill,
      GeometrySpec decode,
      int prefillCount,
      int decodeCount,
      int port,
      int adminPort,
      Duration interToken) {
    this(
        transport,
        prefill,
        decode,
        prefillCount,
        decodeCount,
        port,
        adminPort,
        interToken,
        Transfer.ENGINE);
  }

  /** Whether an agent may have to stand between the engines. */
  boolean hasGoBetween() {
    return transfer != Transfer.ENGINE;
  }

  /** Name of the model that all engines serve. */
  static final String MODEL = "tiny";
}
