package dev.millrace.layout.compatibility;

/** Whose rules an engine follows when it reads from another one. */
public enum EngineKind {
  /** vLLM's NIXL connector, or a simulated engine that behaves as it does. */
  VLLM,
  /** A simulated engine that reads from every geometry for which there is a plan. */
  MILLRACE_SIM
}
