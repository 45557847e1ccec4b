package dev.millrace.config;

/** On what ground a pair of workers is used. */
public enum Verify implements Keyword {
  /** The workers are asked what they are, and the pair is judged before its first request. */
  PROBE,
  /** The operator vouches for every pair; nobody is asked and nothing is judged. */
  TRUST
}
