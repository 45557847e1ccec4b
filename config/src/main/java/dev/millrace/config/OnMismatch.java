package dev.millrace.config;

/** What happens to requests for which no pair of workers fits. */
public enum OnMismatch implements Keyword {
  /** They are refused, with the reasons. */
  REFUSE,
  /** A decode worker computes the prompt itself. */
  RECOMPUTE
}
