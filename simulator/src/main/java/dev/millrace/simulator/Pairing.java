package dev.millrace.simulator;

/** From which prefill engines an engine loads. */
public enum Pairing {
  /**
   * From every one whose blocks a plan can bring over: any release, tensor parallelism, block size
   * and layout, as long as model and element type are the same.
   */
  ANY,
  /**
   * From those that vLLM's NixlConnector of the engine's release accepts, with its refusals, and
   * with its deaths: what kills a real engine, or its side channel, ends this one's.
   */
  VLLM,
  /** The same without a look at the hash ({@code enforce_handshake_compat: false}). */
  VLLM_UNHASHED;

  /** Whether vLLM's rules hold. */
  public boolean isVllm() {
    return this != ANY;
  }
}
