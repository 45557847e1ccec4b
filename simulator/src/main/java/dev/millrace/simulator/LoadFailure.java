package dev.millrace.simulator;

/**
 * What becomes of a prompt whose blocks cannot be loaded: vLLM's {@code kv_load_failure_policy}.
 */
public enum LoadFailure {
  /** Its request fails with status 500. */
  FAIL,
  /** It is computed here; the answer is right and does not tell. */
  RECOMPUTE
}
