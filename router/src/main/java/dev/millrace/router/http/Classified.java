package dev.millrace.router.http;

/** What a request turned out to be. */
public sealed interface Classified permits ClientRequest, KeptResponse, Classified.Refused {
  /**
   * It cannot be served.
   *
   * @param problem what is wrong with it
   */
  record Refused(Problem problem) implements Classified {}
}
