package dev.millrace.config;

/** How KV blocks get from the prefill to the decode worker. */
public enum Transfer implements Keyword {
  /** The decode engine's own connector reads them from the prefill engine. */
  ENGINE
}
