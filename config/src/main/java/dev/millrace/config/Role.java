package dev.millrace.config;

/** Which stage of a request the workers of a pool run. */
public enum Role implements Keyword {
  /** They compute the prompt and hold its KV blocks for a decode worker. */
  PREFILL,
  /** They take over the blocks and generate the answer. */
  DECODE,
  /** They do all of it, or embed, rank or transcribe: for routes without a prefill stage. */
  BOTH
}
