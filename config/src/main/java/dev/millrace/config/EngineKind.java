package dev.millrace.config;

/** What the workers of a pool run; it chooses the rules by which their edges are judged. */
public enum EngineKind implements Keyword {
  /** vLLM with its NIXL connector. */
  VLLM,
  /** Millrace's simulated engine, which reads from any geometry that the planner can serve. */
  MILLRACE_SIM
}
