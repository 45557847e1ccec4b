package dev.millrace.router.http;

/** What a request's body turned out to be. */
public sealed interface Classified permits ClientRequest, Classified.Refused {
  /**
   * It cannot be served.
   *
   * @param problem what is wrong with it
   */
  record Refused(Problem problem) implements Classified {}
}
