package dev.millrace.simulator;

/** From which prefill engines an engine loads. */
public enum Pairing {
  /**
   * From every one whose blocks a plan can bring over: any tensor parallelism, block size and
   * layout, as long as model and element type are the same.
   */
  ANY,
  /**
   * From those that vLLM's NixlConnector (0.32.0, connector version 14) accepts, with its refusals,
   * and with its deaths: what kills a real engine ends this one.
   */
  VLLM
}
