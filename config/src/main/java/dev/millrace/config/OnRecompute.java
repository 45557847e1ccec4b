package dev.millrace.config;

/** What happens when a decode worker is found to have computed a prompt again. */
public enum OnRecompute implements Keyword {
  /** It is counted and shown; the answer is right, only late. */
  COUNT,
  /** It counts as a failure of the pair, which is not used any more after a few. */
  FAIL
}
