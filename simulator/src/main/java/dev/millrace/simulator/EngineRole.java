package dev.millrace.simulator;

/**
 * What an engine is deployed for. As in vLLM it is not enforced: each role serves every request.
 */
public enum EngineRole {
  /** Computes prompts for others ({@code kv_producer}). */
  PREFILL,
  /** Loads prompts from others ({@code kv_consumer}). */
  DECODE,
  /** Both, or an aggregated engine ({@code kv_both}). */
  BOTH
}
